// SPDX-License-Identifier: Apache-2.0
package reverie.app.model;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ModelPromptsTest {
  @TempDir Path folder;

  /** As editors on Windows save it. */
  @Test
  void aByteOrderMarkIsNoPartOfAPrompt() throws IOException {
    Files.writeString(folder.resolve("prompts.txt"), "\uFEFFa cat\r\n\r\n# 1\r\n");
    assertEquals(List.of("a cat", "# 1"), ModelPrompts.read(folder).training());
  }

  @Test
  void whatIsWrittenIsRead() {
    new ModelPrompts(List.of("a\ncat", "dog", "dog")).write(folder);
    assertEquals(List.of("a cat", "dog"), ModelPrompts.read(folder).training());
  }
}
