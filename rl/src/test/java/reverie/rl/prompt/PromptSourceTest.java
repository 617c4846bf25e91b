// SPDX-License-Identifier: Apache-2.0
package reverie.rl.prompt;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;

class PromptSourceTest {
  @TempDir Path folder;

  @Test
  void filesHaveCommentsBlanksAndUnicode() throws IOException {
    Path file = folder.resolve("prompts.txt");
    Files.writeString(file, "\uFEFF# animals\r\n cat \r\n\r\nein Bär\n  # not this\ndog, small");
    assertEquals(List.of("cat", "ein Bär", "dog, small"), texts(PromptSource.fromFile(file)));
  }

  @Test
  void badFilesAreNamed() throws IOException {
    Path missing = folder.resolve("missing.txt");
    assertError(() -> PromptSource.fromFile(missing), "missing.txt", "does not exist");
    assertError(() -> PromptSource.fromFile(folder), "is a folder");
    Path empty = Files.writeString(folder.resolve("empty.txt"), "# nothing\n\n");
    assertError(() -> PromptSource.fromFile(empty), "empty.txt", "no prompt");
    Path binary =
        Files.write(folder.resolve("binary.txt"), new byte[] {'a', '\n', 'b', (byte) 0xff, '\n'});
    assertError(() -> PromptSource.fromFile(binary), "binary.txt", "byte 0xff in line 2");
    Path cut = Files.write(folder.resolve("cut.txt"), new byte[] {'a', (byte) 0xc3});
    assertError(() -> PromptSource.fromFile(cut), "cut.txt", "not UTF-8", "line 1");
    assertError(() -> PromptSource.of(List.of()), "at least one");
  }

  @Test
  void templatesCombineEverySlot() {
    var source =
        PromptSource.template(
            "a {colour} {animal}, {colour}!",
            Map.of("animal", List.of("cat", "dog", "$1"), "colour", List.of("red", "blue")));
    assertEquals(6, source.size());
    assertEquals(
        List.of(
            "a red cat, red!",
            "a red dog, red!",
            "a red $1, red!",
            "a blue cat, blue!",
            "a blue dog, blue!",
            "a blue $1, blue!"),
        texts(source));
    assertEquals(Map.of("animal", "dog", "colour", "blue"), source.get(4).metadata());
    assertThrows(IndexOutOfBoundsException.class, () -> source.get(6));
  }

  @Test
  void badTemplatesAreNamed() {
    assertError(() -> PromptSource.template("a {b}", Map.of()), "{b} without words");
    assertError(
        () -> PromptSource.template("a {b}", Map.of("b", List.of("x"), "c", List.of("y"))), "[c]");
    List<String> many = java.util.Collections.nCopies(50_000, "w");
    assertError(
        () -> PromptSource.template("{a} {b}", Map.of("a", many, "b", many)), "combinations");
  }

  @Test
  void drawsDependOnSeedAndEpochOnly() {
    var source = PromptSource.of("a", "b", "c", "d", "e", "f", "g", "h");
    Rng rng = Rng.of(3);
    List<Prompt> first = source.draw(rng, 0, 5);
    List<Prompt> second = source.draw(rng, 1, 5);
    assertEquals(first, source.draw(Rng.of(3), 0, 5));
    assertNotEquals(first, second);
    assertEquals(first, source.draw(rng, 0, 8).subList(0, 5));
    assertEquals(8, new HashSet<>(source.draw(rng, 7, 8)).size());
    List<Prompt> more = source.draw(rng, 7, 20);
    for (Prompt prompt : source.all()) {
      long times = more.stream().filter(prompt::equals).count();
      assertTrue(times == 2 || times == 3, prompt + " was drawn " + times + " times");
    }
  }

  private static void assertError(Executable what, String... parts) {
    var error = assertThrows(ReverieException.class, what);
    for (String part : parts) {
      assertTrue(
          error.getMessage().contains(part), () -> part + " is not in: " + error.getMessage());
    }
  }

  private static List<String> texts(PromptSource source) {
    return source.all().stream().map(Prompt::text).toList();
  }
}
