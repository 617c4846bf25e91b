// SPDX-License-Identifier: Apache-2.0
package reverie.architecture;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** What an element-wise operation asks for: docs/adding-an-operation.md lists it. */
class AddingAnOperationTest {
  private static final String OP = "tensor/src/main/java/reverie/tensor/op/";
  private static final String SAMPLES =
      "tensor/src/main/java/reverie/tensor/catalog/ElementSamples.java";

  @Test
  void theCompilerNamesEveryPlace() {
    Adding.Places places =
        new Adding("tensor", "autograd")
            .write(
                OP + "Softsign.java",
                """
                package reverie.tensor.op;

                import java.util.List;
                import reverie.tensor.TensorType;

                /** x/(1+|x|). */
                public record Softsign() implements ElementFunction {
                  @Override
                  public List<TensorType> infer(List<TensorType> inputs) {
                    Rule.count(this, inputs, 1, 1);
                    Rule.floating(this, inputs);
                    return inputs;
                  }
                }
                """)
            .replace(OP + "ElementFunction.java", "SiluBackward,", "SiluBackward, Softsign,")
            .compile();
    System.out.println(places);
    places
        .asked()
        .forEach((file, messages) ->
            assertTrue(
                messages.stream().allMatch(m -> m.contains("does not cover all possible")),
                file + ": " + messages));
    // Its samples are called by the catalogue's case, and do not compile before they are written.
    Set<String> written = new TreeSet<>(places.written());
    written.add(SAMPLES);
    Adding.Places all = new Adding.Places(written, places.asked());
    assertTrue(all.all().size() <= 9, all.toString());
    all.checkAgainst("docs/adding-an-operation.md");
  }

  /** The page's operation of one's own is the one that CustomOpTest runs, but for its counters. */
  @Test
  void theCustomOperationIsTested() {
    String test =
        Project.read(
            Project.ROOT.resolve("autograd/src/test/java/reverie/autograd/CustomOpTest.java"));
    String tested =
        test.substring(
                test.indexOf("// example: custom operation"), test.indexOf("// end of example"))
            .lines()
            .skip(1)
            .filter(line -> !line.contains("incrementAndGet"))
            .map(line -> line.replaceFirst("^  ", ""))
            .collect(Collectors.joining("\n"))
            .strip();
    String page = Project.read(Project.ROOT.resolve("docs/adding-an-operation.md"));
    assertTrue(page.contains("```java\n" + tested + "\n```"), tested);
  }
}
