// SPDX-License-Identifier: Apache-2.0
package reverie.rl.reward;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import reverie.rl.prompt.Prompt;
import reverie.tensor.ReverieException;

@Timeout(60)
class ProcessRewardTest {
  @TempDir Path folder;

  /** The program of the class comment: reads folders, answers with the length of each prompt. */
  private static final String PROMPT_LENGTHS =
      """
      import java.nio.file.*;
      class Lengths {
        public static void main(String[] args) throws Exception {
          var in = new java.io.BufferedReader(new java.io.InputStreamReader(System.in));
          for (String line; (line = in.readLine()) != null; ) {
            Path folder = Path.of(line);
            if (javax.imageio.ImageIO.read(folder.resolve("0001.png").toFile()).getRGB(0, 0) != 0xff000000) {
              throw new IllegalStateException("not black");
            }
            System.out.println(Files.readAllLines(folder.resolve("prompts.txt")).stream()
                .map(p -> String.valueOf(p.length())).collect(java.util.stream.Collectors.joining(" ")));
          }
        }
      }
      """;

  private static final String FAILS =
      """
      class Fails {
        public static void main(String[] args) {
          throw new IllegalStateException("no weights here");
        }
      }
      """;

  @Test
  void aProgramScoresBatchAfterBatch() throws Exception {
    try (var reward = new ProcessReward("lengths", java("Lengths", PROMPT_LENGTHS))) {
      assertArrayEquals(new double[] {3, 8}, reward.score(batch("cat", "red\nfish")));
      assertArrayEquals(new double[] {1, 2, 3}, reward.score(batch("a", "bb", "ccc")));
    }
  }

  @Test
  void aProgramThatFailsIsQuoted() throws IOException {
    try (var reward = new ProcessReward("fails", java("Fails", FAILS))) {
      var error = assertThrows(ReverieException.class, () -> reward.score(batch("a", "b")));
      assertTrue(error.getMessage().contains("no weights here"), error.getMessage());
    }
    try (var reward = new ProcessReward("none", List.of(folder.resolve("nothing").toString()))) {
      var error = assertThrows(ReverieException.class, () -> reward.score(batch("a", "b")));
      assertTrue(error.getMessage().contains("cannot be started"), error.getMessage());
    }
  }

  @Test
  @Timeout(60)
  void closingEndsTheProgramAndItsChildren() throws Exception {
    Path child = folder.resolve("child");
    String script = "sleep 1000 & echo $! > " + child + "; read line; echo 1; wait";
    ProcessHandle sleeping;
    try (var reward = new ProcessReward("parent", List.of("sh", "-c", script))) {
      assertArrayEquals(new double[] {1}, reward.score(batch("a")));
      sleeping = ProcessHandle.of(Long.parseLong(Files.readString(child).strip())).orElseThrow();
      assertTrue(sleeping.isAlive());
    }
    while (sleeping.isAlive()) {
      Thread.sleep(10);
    }
  }

  /** What a program does with its second batch of two, and what is said of it. */
  static List<Arguments> hostile() {
    return List.of(
        arguments("two lines", "echo 1 2; echo 3 4", "was not asked for: \"3 4\""),
        arguments("a line for each image", "echo 1; sleep 60; echo 2", "expected 2 scores, got 1"),
        arguments(
            "a greeting", "echo loading model; sleep 60; echo 1 2", "answered \"loading model\""),
        arguments("one number", "echo 1", "expected 2 scores, got 1"),
        arguments("three numbers", "echo 1 2 3", "expected 2 scores, got 3"),
        arguments("nothing", "echo", "expected 2 scores, got 0"),
        arguments("words", "echo one two", "answered \"one two\""),
        arguments("a comma", "echo 1,5 2,5", "answered \"1,5 2,5\""),
        arguments("no end", "yes 1 | tr '\\n' ' '", "wrote a line that does not end"),
        arguments("no line end", "printf '1 2'; exit", "ended without an answer (exit code 0)"),
        arguments(
            "an exit", "echo out of memory >&2; exit 7", "(exit code 7); it wrote:\n  out of"),
        arguments("much of an error", "seq 600000 >&2; exit 1", "  599999\n  600000"),
        arguments("a crash", "kill -9 $$", "ended without an answer"),
        arguments("closed output", "exec 1>&-; exit 0", "ended without an answer"),
        arguments("no folder left", "rm -r \"$folder\"; echo 1 2 3", "got 3"),
        arguments("no number", "echo NaN 1", "the score of sample 0 is NaN"),
        arguments("no bound", "echo 1 -Infinity", "the score of sample 1 is -Infinity"),
        arguments("a huge score", "echo 1e155 -1e155", "the score of sample 0 is 1.0E155"),
        arguments("bytes", "printf '\\377\\376\\001 \\200\\n'", "answered \"ÿþ\u0001 \u0080\""),
        arguments("closed input", "exec 0<&-; echo 1 2 3", "got 3"),
        arguments("sleep", "sleep 60; echo 1 2", "no scores after 0.4 s"),
        arguments("closed input and sleep", "exec 0<&-; sleep 60", "no scores after 0.4 s"),
        arguments("a child that answers", "(sleep 60; echo 1 2) & exit", "no scores after 0.4 s"));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("hostile")
  void aHostileProgramIsOneError(String name, String second, String expected) throws Exception {
    String script = "read folder; echo 0.5 -1e3; read folder; " + second + "; read folder";
    try (var reward = new ProcessReward(name, List.of("sh", "-c", script));
        var runner =
            new RewardRunner(
                reward,
                expected.startsWith("no scores")
                    ? Duration.ofMillis(400)
                    : Duration.ofMinutes(1))) {
      assertArrayEquals(new double[] {0.5, -1000}, reward.score(batch("a", "b")));
      var error =
          assertThrows(
              ReverieException.class,
              () -> {
                runner.submit(batch("a", "b")).await();
                Thread.sleep(200); // what it says late is found with the next batch at the latest
                runner.submit(batch("a", "b")).await();
              });
      assertTrue(error.getMessage().startsWith("reward " + name), error::getMessage);
      assertTrue(error.getMessage().contains(expected), error::getMessage);
      assertTrue(error.getMessage().contains("\nhint: "), error::getMessage);
      assertTrue(error.getMessage().length() < 3000, () -> "" + error.getMessage().length());
    }
  }

  @Test
  void aProgramIsCalledByItsScript() {
    for (var each :
        Map.of(
                "my_reward", List.of("python3", "-u", "models/my_reward.py"),
                "score", List.of("/opt/score", "--quick"),
                "judge", List.of("./judge.sh"))
            .entrySet()) {
      assertEquals(each.getKey(), new ProcessReward(each.getValue()).name());
    }
  }

  @Test
  void closingEndsChildrenWhoseParentIsGone() throws Exception {
    assumeTrue(Files.exists(Path.of("/proc/self/environ")), "no /proc on this system");
    Path child = folder.resolve("orphan");
    String script = "(setsid sleep 1000 & echo $! > " + child + "); read line; echo 1; read line";
    ProcessHandle sleeping;
    try (var reward = new ProcessReward("parent", List.of("sh", "-c", script))) {
      assertArrayEquals(new double[] {1}, reward.score(batch("a")));
      sleeping = ProcessHandle.of(Long.parseLong(Files.readString(child).strip())).orElseThrow();
      assertTrue(sleeping.isAlive());
    }
    while (sleeping.isAlive()) {
      Thread.sleep(10);
    }
  }

  private List<String> java(String name, String source) throws IOException {
    Path file = Files.writeString(folder.resolve(name + ".java"), source);
    return List.of(
        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
        "-Djava.awt.headless=true",
        file.toString());
  }

  private static RewardBatch batch(String... prompts) {
    int size = prompts.length;
    return new RewardBatch(
        new Images(new byte[size * 12], size, 2, 2, 3),
        new float[size * 12],
        List.of(prompts).stream().map(Prompt::new).toList());
  }
}
