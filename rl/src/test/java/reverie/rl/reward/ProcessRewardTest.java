// SPDX-License-Identifier: Apache-2.0
package reverie.rl.reward;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
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
  void aProgramScoresBatchAfterBatch() throws IOException {
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
