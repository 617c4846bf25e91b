// SPDX-License-Identifier: Apache-2.0
package reverie.app.config;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every setting that the pages on algorithms show can be set. */
class AlgorithmPagesTest {
  private static final Path FOLDER = Path.of("../docs/algorithms");
  private static final Pattern SETTING = Pattern.compile("--set ([^\\s`,;]+)");

  static List<Path> pages() throws IOException {
    try (Stream<Path> pages = Files.list(FOLDER)) {
      return pages.filter(page -> !page.endsWith("README.md")).sorted().toList();
    }
  }

  @ParameterizedTest
  @MethodSource("pages")
  void settingsExist(Path page) throws IOException {
    List<String> settings =
        SETTING
            .matcher(Files.readString(page))
            .results()
            .map((MatchResult result) -> result.group(1))
            .toList();
    assertFalse(settings.isEmpty(), page::toString);
    var reader = FinetuneConfig.READER;
    for (String setting : settings) {
      assertDoesNotThrow(() -> reader.read(null, null, List.of(setting)), page::toString);
    }
  }
}
