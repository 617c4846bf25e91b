// SPDX-License-Identifier: Apache-2.0
package reverie.rl.prompt;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
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
  void everyCheckpointCanTellVeryManyPromptsFromOthers() {
    int[] asked = {0};
    String identity = numbered(Integer.MAX_VALUE, "", asked).identity();
    assertEquals(PromptSource.IDENTIFYING, asked[0]);
    assertTrue(identity.startsWith("2147483647 with checksum "), identity);
    assertNotEquals(identity, numbered(Integer.MAX_VALUE, "a ", asked).identity());
    // Of few prompts every one counts.
    assertNotEquals(
        PromptSource.of("a", "b", "c").identity(), PromptSource.of("a", "b", "d").identity());
    assertNotEquals(PromptSource.of("a", "b").identity(), PromptSource.of("b", "a").identity());
  }

  private static PromptSource numbered(int size, String before, int... asked) {
    return new PromptSource() {
      @Override
      public int size() {
        return size;
      }

      @Override
      public Prompt get(int index) {
        asked[0]++;
        return new Prompt(before + index);
      }
    };
  }

  /** A file that is larger than the memory, in a process of its own. */
  @Test
  void longFilesStayOnTheDisk() throws IOException, InterruptedException {
    Path file = folder.resolve("long.txt");
    String line = "a prompt that goes on and on ".repeat(20);
    try (var out = Files.newBufferedWriter(file)) {
      for (int i = 0; i < 150_000; i++) {
        out.write(i + " " + line + (i % 3 == 0 ? "\r\n" : "\n"));
      }
    }
    assertTrue(Files.size(file) > 80 << 20);
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx24m",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                Draws.class.getName(),
                file.toString())
            .redirectErrorStream(true)
            .start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), said);
    Rng rng = Rng.of(3);
    List<String> numbers = new ArrayList<>(List.of("150000"));
    for (int index : Arrays.copyOf(rng.fork(7, 0).permutation(150_000), 3)) {
      numbers.add(Integer.toString(index));
    }
    assertEquals(numbers, said.lines().toList());
  }

  /** What the process does: an epoch's draw, which is the same at any time. */
  static final class Draws {
    private Draws() {}

    public static void main(String[] arguments) {
      PromptSource source = PromptSource.fromFile(Path.of(arguments[0]));
      System.out.println(source.size());
      for (Prompt prompt : source.draw(Rng.of(3), 7, 3)) {
        System.out.println(prompt.text().split(" ")[0]);
      }
    }
  }

  @Test
  void aFileThatChangesIsAnError() throws IOException {
    Path file = Files.writeString(folder.resolve("p.txt"), "one\ntwo\n");
    PromptSource source = PromptSource.fromFile(file);
    Files.writeString(file, "one");
    assertEquals("one", source.get(0).text());
    assertError(() -> source.get(1), "became shorter while it was in use");
  }

  @Test
  void animalsDoSomething() {
    List<String> animals = texts(PromptSource.animals());
    assertEquals(45, new HashSet<>(animals).size());
    assertTrue(animals.containsAll(List.of("ant", "bee", "kangaroo", "zebra")));
    List<String> activities = texts(PromptSource.animalActivities());
    assertEquals(45 * 3, new HashSet<>(activities).size());
    assertTrue(activities.containsAll(List.of("an ant riding a bike", "a cat washing dishes")));
    assertEquals(
        Map.of("animal", "ant", "activity", "playing chess"),
        PromptSource.animalActivities().all().stream()
            .filter(prompt -> prompt.text().equals("an ant playing chess"))
            .findFirst()
            .orElseThrow()
            .metadata());
  }

  @Test
  void articlesAreThoseThatAreSpoken() {
    List<String> words =
        List.of("owl", "Unicorn", "umbrella", "hour", "European eel", "one-eyed cat", "$1", "heir");
    assertEquals(
        List.of(
            "an owl",
            "a Unicorn",
            "an umbrella",
            "an hour",
            "a European eel",
            "a one-eyed cat",
            "a $1",
            "an heir"),
        texts(PromptSource.template("{a:thing}", Map.of("thing", words))));
    assertEquals(
        "an owl and owl",
        PromptSource.template("{an:thing} and {thing}", Map.of("thing", words)).get(0).text());
  }

  @Test
  void promptsAreHeldOutByPattern() {
    PromptSource.Split split = PromptSource.animalActivities().split("^an? (ant|bee)\\b");
    assertEquals(6, split.heldOut().size());
    assertEquals(129, split.training().size());
    assertTrue(texts(split.heldOut()).contains("a bee playing chess"));
    assertTrue(texts(split.training()).contains("a beetle playing chess"));
    assertError(() -> PromptSource.animals().split("jj"), "is found in none of 45 prompts");
    assertError(() -> PromptSource.animals().split(""), "is found in all of 45 prompts");
    assertError(() -> PromptSource.animals().split("(a"), "is no regular expression");
    PromptSource longOne = PromptSource.of("a".repeat(500_000));
    assertError(() -> longOne.split("(a|b)*c"), "too deep an expression");
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
    assertNotEquals(more.subList(0, 8), more.subList(8, 16), "every round has its own order");
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

  @Test
  void aLimitChoosesSome() {
    PromptSource all = PromptSource.animalActivities();
    List<Prompt> some = all.limited(10, Rng.of(1)).all();
    assertEquals(10, some.stream().distinct().count());
    assertTrue(all.all().containsAll(some));
    assertEquals(some, all.limited(10, Rng.of(1)).all());
    assertNotEquals(some, all.limited(10, Rng.of(2)).all());
    assertEquals(all.all(), all.limited(1000, Rng.of(1)).all());
  }
}
