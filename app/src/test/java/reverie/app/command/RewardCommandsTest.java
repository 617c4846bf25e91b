// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.app.data.PreferenceFile;
import reverie.app.reward.ScoreServer;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Rewards with settings in the commands that measure. */
class RewardCommandsTest {
  private static final String MODEL = "../pipeline/src/test/resources/reverie/pipeline/sd2_tiny";

  @TempDir private Path folder;
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  private int run(String command, String... arguments) {
    List<String> all =
        new ArrayList<>(List.of(command, "--device", "cpu", "--model", MODEL, "--steps", "1"));
    all.addAll(List.of(arguments));
    return CommandLines.run(all, Map.of(), new PrintWriter(out), new PrintWriter(err));
  }

  @Test
  void evaluateAndPreferencesAskAServer() throws IOException {
    Path prompts = Files.writeString(folder.resolve("prompts.txt"), "a cat\na dog\n");
    try (ScoreServer server = new ScoreServer()) {
      String reward = "{http: {url: " + server.url() + "}}";
      Path json = folder.resolve("numbers.json");
      assertEquals(
          0,
          run(
              "evaluate",
              "--prompts",
              prompts.toString(),
              "--samples",
              "3",
              "--reward",
              reward,
              "--json",
              json.toString()),
          err::toString);
      JsonNode numbers = JsonMapper.shared().readTree(Files.readString(json));
      double red = numbers.get("prompts_reward").get("mean").doubleValue();
      assertTrue(red >= 0 && red <= 255, numbers::toString);
      assertEquals("http", numbers.get("reward").stringValue());
      assertEquals(3, server.images());
      Path pairs = folder.resolve("pairs");
      assertEquals(
          0,
          run(
              "preferences",
              "--prompts",
              prompts.toString(),
              "--pairs",
              "2",
              "--reward",
              reward,
              "--out",
              pairs.toString()),
          err::toString);
      assertEquals(7, server.images());
      assertTrue(PreferenceFile.read(pairs.resolve("preferences.jsonl"), 16).size() > 0);
    }
  }

  @Test
  void whatCannotBeAReward() {
    says("'name' must be one of jpeg_compressibility", "beauty");
    says("'name' must be one of", "{name: beauty}");
    says("unknown key 'reward.htp'", "{htp: {}}");
    says("this is no YAML", "{http");
    says("is no address of a server", "{http: {url: x}}");
    says("there is no mean and deviation", "{sum: [{reward: colourfulness, normalize: true}]}");
  }

  private void says(String part, String reward) {
    err.getBuffer().setLength(0);
    assertNotEquals(
        0, run("evaluate", "--prompt", "a", "--samples", "2", "--reward", reward), out::toString);
    assertTrue(err.toString().contains(part), err::toString);
    assertTrue(err.toString().contains("\nhint: "), err::toString);
  }
}
