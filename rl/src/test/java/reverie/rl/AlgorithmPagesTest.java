// SPDX-License-Identifier: Apache-2.0
package reverie.rl;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The Java of the pages on algorithms is that of the methods of {@code AlgorithmExamplesTest}. */
class AlgorithmPagesTest {
  private static final Path SOURCE =
      Path.of("src/test/java/reverie/rl/learn/AlgorithmExamplesTest.java");

  @ParameterizedTest
  @ValueSource(strings = {"prdp", "ppod", "plackett-luce", "grpo", "dpok", "diffusion-dpo"})
  void showWhatIsTested(String page) throws IOException {
    String text = Files.readString(Path.of("../docs/algorithms/" + page + ".md"));
    String source = Files.readString(SOURCE);
    String method =
        switch (page) {
          case "plackett-luce" -> "plackettLuce";
          case "diffusion-dpo" -> "diffusionDpo";
          default -> page;
        };
    List<String> tested = words(between(source, "void " + method + "() {", "\n  }\n"));
    assertEquals(tested, words(between(text, "```java", "```")), page);
  }

  private static String between(String text, String start, String end) {
    int from = text.indexOf(start) + start.length();
    return text.substring(from, text.indexOf(end, from));
  }

  /** However the lines are broken. */
  private static List<String> words(String text) {
    return List.of(text.strip().replaceAll("(\\W)", " $1 ").strip().split("\\s+"));
  }
}
