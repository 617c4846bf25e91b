// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import reverie.app.data.ImageSize;
import reverie.app.data.PreferenceFile;
import reverie.app.reward.ScoreServer;
import reverie.diffusion.SchedulerConfig;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.unet.UNet;
import reverie.unet.UNetConfig;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Rewards with settings in the commands that measure. */
class RewardCommandsTest extends CommandTest {
  private static final String MODEL = "../pipeline/src/test/resources/reverie/pipeline/sd2_tiny";

  @TempDir private Path folder;

  private int run(String command, String... arguments) {
    List<String> all = new ArrayList<>(List.of(command));
    all.addAll(List.of(arguments));
    return run(all, "--device", "cpu", "--model", MODEL, "--steps", "1");
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
      assertTrue(
          PreferenceFile.read(pairs.resolve("preferences.jsonl"), ImageSize.square(16)).size() > 0);
    }
  }

  /** It is told a folder of images by line, and answers with a line of scores. */
  @Test
  void evaluateAsksAProgram() throws IOException {
    assumeTrue(Files.isExecutable(Path.of("/bin/sh")), "no shell here");
    Path program =
        Files.writeString(
            folder.resolve("reward.sh"),
            "while read images; do ls \"$images\" > /dev/null; echo 1 2; done");
    Path json = folder.resolve("numbers.json");
    List<String> all =
        new ArrayList<>(List.of("--prompt", "a cat", "--samples", "4", "--batch", "2"));
    all.addAll(List.of("--json", json.toString(), "--reward-command", "/bin/sh " + program));
    assertEquals(0, run("evaluate", all.toArray(String[]::new)), err::toString);
    JsonNode numbers = JsonMapper.shared().readTree(Files.readString(json));
    assertEquals(1.5, numbers.get("prompts_reward").get("mean").doubleValue(), 1e-12);
    assertEquals(4, numbers.get("prompts_reward").get("n").intValue());
    Files.writeString(program, "read images; echo 1");
    assertEquals(ExitCode.BAD_INPUT, run("evaluate", all.toArray(String[]::new)));
    assertTrue(err.toString().contains("\nhint: "), err::toString);
  }

  /** Draws pairs of a run's prompts with its model, serves them, and goes on the next time. */
  @Test
  @Timeout(120)
  void peopleChooseBetweenTheImagesOfARun() throws Exception {
    Path prompts = Files.writeString(folder.resolve("prompts.txt"), "a cat\na dog\n");
    Files.createSymbolicLink(folder.resolve("model"), Path.of(MODEL).toAbsolutePath());
    Files.writeString(folder.resolve("config.yaml"), "prompts: {source: '" + prompts + "'}\n");
    String state = served("--pairs 2 --steps 1 --device cpu", "{\"pair\": 0, \"choice\": 1}");
    assertTrue(state.startsWith("{\"done\":1,\"total\":2,\"pair\":1"), state);
    byte[] first = Files.readAllBytes(folder.resolve("preferences/images/000000-0.png"));
    byte[] second = Files.readAllBytes(folder.resolve("preferences/images/000000-1.png"));
    assertFalse(Arrays.equals(first, second));
    // What is drawn stays.
    state = served("--pairs 7", "{\"pair\": 1, \"choice\": 0}");
    assertTrue(state.startsWith("{\"done\":2,\"total\":2,\"pair\":null"), state);
    Path choices = folder.resolve("preferences/preferences.jsonl");
    assertEquals(2, PreferenceFile.read(choices, ImageSize.square(16)).size());
    assertTrue(Files.readString(choices).contains("\"prompt\":\"a dog\""));
    List<String> wrong = List.of("preferences", "serve", folder.resolve("none").toString());
    assertNotEquals(0, run(wrong));
    assertTrue(err.toString().contains("none' does not exist"), err::toString);
    wrong = List.of("preferences", "serve", choices.resolveSibling("images").toString());
    assertNotEquals(0, run(wrong));
    assertTrue(err.toString().contains("is no run, no model and has no pairs"), err::toString);
  }

  /** Every folder that the other commands take, also one whose weights lie at its top. */
  @Test
  @Timeout(120)
  void aModelAloneIsServed() throws Exception {
    String config =
        "{\"_class_name\": \"UNet2DModel\", \"sample_size\": 8, \"down_block_types\":"
            + " [\"DownBlock2D\"], \"up_block_types\": [\"UpBlock2D\"], \"block_out_channels\":"
            + " [4], \"layers_per_block\": 1, \"attention_head_dim\": 2, \"norm_num_groups\": 2}";
    try (UNet unet = UNet.random(UNetConfig.parse(config), Device.cpu(), Rng.of(1))) {
      unet.save(folder);
    }
    SchedulerConfig.defaults().write(folder);
    String state = served("--pairs 1 --steps 1 --device cpu", "{\"pair\": 0, \"choice\": 1}");
    assertTrue(state.startsWith("{\"done\":1,\"total\":1,\"pair\":null"), state);
  }

  /** What the server says to a choice. */
  private String served(String options, String choice) throws Exception {
    StringWriter said = new StringWriter();
    List<String> line =
        new ArrayList<>(List.of("preferences", "serve", folder.toString(), "--port", "0"));
    line.addAll(List.of(options.split(" ")));
    Thread thread =
        Thread.ofPlatform()
            .start(() ->
                CommandLines.run(line, Map.of(), new PrintWriter(said), new PrintWriter(err)));
    try {
      Matcher address = Pattern.compile("Open (\\S+)").matcher("");
      while (!address.reset(said.toString()).find()) {
        assertTrue(thread.isAlive(), err::toString);
        Thread.sleep(20);
      }
      HttpRequest request =
          HttpRequest.newBuilder(URI.create(address.group(1)).resolve("/choice"))
              .POST(HttpRequest.BodyPublishers.ofString(choice))
              .build();
      return HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body();
    } finally {
      thread.interrupt();
      thread.join();
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
    says("'onnx' names no file", "{onnx: /}");
    says("images have one reward", "colourfulness", "--reward-command", "true");
    says("'command' names no program", "--reward-command", " ");
  }

  private void says(String part, String... reward) {
    List<String> line = new ArrayList<>(List.of("--prompt", "a", "--samples", "2"));
    if (!reward[0].startsWith("--")) {
      line.add("--reward");
    }
    line.addAll(List.of(reward));
    int code = run("evaluate", line.toArray(String[]::new));
    assertTrue(code == ExitCode.USAGE || code == ExitCode.BAD_INPUT, () -> code + " " + out);
    assertTrue(err.toString().contains(part), err::toString);
    assertTrue(err.toString().contains("\nhint: "), err::toString);
  }
}
