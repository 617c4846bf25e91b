// SPDX-License-Identifier: Apache-2.0
package reverie.rl;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The README's example is the one that {@code EmbeddingExampleTest} compiles and runs. */
class ReadmeTest {
  private static final Path EXAMPLE =
      Path.of("src/test/java/reverie/rl/learn/EmbeddingExampleTest.java");

  @Test
  void theExampleIsTheOneThatIsTested() throws IOException {
    String readme = Files.readString(Path.of("../README.md"));
    String source = Files.readString(EXAMPLE);
    String tested = between(source, "void example(Path folder) {", "@Test");
    List<String> lines = lines(tested);
    assertEquals(
        lines.subList(0, lines.size() - 1), lines(between(readme, "```java", "```")), "README.md");
  }

  private static String between(String text, String start, String end) {
    int from = text.indexOf(start) + start.length();
    return text.substring(from, text.indexOf(end, from));
  }

  private static List<String> lines(String text) {
    return text.lines().map(String::strip).filter(line -> !line.isEmpty()).toList();
  }
}
