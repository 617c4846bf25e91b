// SPDX-License-Identifier: Apache-2.0
package reverie.app.finetune;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.app.reward.ScoreServer;
import reverie.app.run.Metrics;
import reverie.app.run.RunFolder;
import reverie.tensor.ReverieException;

/** Rewards with settings, in whole runs of a tiny model. */
class RewardsInRunsTest {
  @TempDir Path folder;

  @Test
  void aServerIsOptimisedAndAnotherWatched() throws IOException {
    Path path = folder.resolve("run");
    try (ScoreServer server = new ScoreServer()) {
      TinyRun run = TinyRun.in(folder);
      run.finetune(
          path,
          "reward={http: {url: " + server.url() + "}, label: red}",
          "watch=[colourfulness, {http: {url: "
              + server.url()
              + ", images_each: 1}, label: again}]");
      assertTrue(server.images() >= 2 * 8 + 2 * 2, () -> "scored " + server.images());
    }
    for (Metrics.Line line : Metrics.read(path).subList(1, 3)) {
      double red = line.values().get("reward_mean");
      assertTrue(red > 0 && red < 255, () -> "red " + red);
      assertEquals(red, line.values().get("watched/again_mean"), 1e-9);
      assertTrue(line.values().containsKey("watched/colourfulness_mean"));
    }
    assertTrue(Files.readString(path.resolve("report.html")).contains("for red"));
  }

  /** The run ends with one error, goes on from its checkpoint, and comes to the same bits. */
  @Test
  void nothingIsLostWhereAServerDies() throws IOException {
    TinyRun run = TinyRun.in(folder);
    Path weights = Path.of("model/unet/diffusion_pytorch_model.safetensors");
    byte[] expected;
    int port;
    String reward;
    int last;
    try (ScoreServer server = new ScoreServer()) {
      port = server.port();
      reward =
          "reward={http: {url: " + server.url() + ", attempts: 2, pause_seconds: 0}, label: red}";
      run.finetune(folder.resolve("whole"), reward);
      expected = Files.readAllBytes(folder.resolve("whole").resolve(weights));
      last = server.images() / 2 + 2;
    }
    Path cut = folder.resolve("cut");
    try (var _ = new ScoreServer(port, last)) {
      ReverieException error =
          assertThrows(ReverieException.class, () -> run.finetune(cut, reward));
      assertTrue(error.getMessage().contains("reward red: "), error::getMessage);
      assertTrue(error.getMessage().contains("2 attempts failed"), error::getMessage);
      assertTrue(Files.exists(cut.resolve("checkpoint.safetensors")), "after the first epoch");
    }
    try (var _ = new ScoreServer(port, Integer.MAX_VALUE)) {
      run.finetune(cut, reward);
    }
    assertArrayEquals(expected, Files.readAllBytes(cut.resolve(weights)));
  }

  @Test
  void aSumIsNormalizedByWhatTheBaseModelDraws() throws IOException {
    TinyRun run = TinyRun.in(folder);
    Path path = folder.resolve("run");
    String sum =
        "reward.sum=[{reward: jpeg_incompressibility, normalize: true}, {reward: colourfulness,"
            + " weight: -2, normalize: true}]";
    String watch = "watch=[colourfulness, jpeg_incompressibility]";
    run.finetune(path, sum, watch);
    String units = Files.readString(path.resolve("reward-units.json"));
    Map<String, Double> metrics = Metrics.read(path).get(2).values();
    double[] bytes = unit(units, 0);
    double[] colours = unit(units, 1);
    double expected =
        (metrics.get("watched/jpeg_incompressibility_mean") - bytes[0]) / bytes[1]
            - 2 * (metrics.get("watched/colourfulness_mean") - colours[0]) / colours[1];
    assertEquals(expected, metrics.get("reward_mean"), 1e-6);
    assertTrue(
        Files.readString(path.resolve("report.html"))
            .contains("jpeg_incompressibility + -2 colourfulness"));
    // A run that goes on has the units that it began with, not those of what it draws now.
    run.finetune(path, sum, watch, "epochs=3");
    assertEquals(units, Files.readString(path.resolve("reward-units.json")));
    assertTrue(Files.readString(path.resolve(RunFolder.CONFIG)).contains("weight: -2"));
    String unit = "{\"mean\": 1, \"deviation\": 2}";
    for (String damaged :
        List.of(
            "",
            "[]",
            "[1, 2]",
            "{\"a\": 1, \"b\": 2}",
            "[" + unit + ", {\"mean\": 1, \"deviation\": 0}]",
            "[" + unit + ", {\"mean\": 1e999, \"deviation\": 1}]")) {
      refuses(run, path, damaged, "reward-units.json: ", sum, watch);
    }
    // Sound, but not what the epochs before were rewarded by.
    refuses(run, path, "[" + unit + ", " + unit + "]", "another reward_units", sum, watch);
    Files.writeString(path.resolve("reward-units.json"), units);
    run.finetune(path, sum, watch, "epochs=3");
  }

  private static void refuses(
      TinyRun run, Path path, String units, String part, String sum, String watch)
      throws IOException {
    Files.writeString(path.resolve("reward-units.json"), units);
    ReverieException error =
        assertThrows(ReverieException.class, () -> run.finetune(path, sum, watch, "epochs=3"));
    assertTrue(error.getMessage().contains(part), error::getMessage);
    assertTrue(error.getMessage().contains("\nhint: "), error::getMessage);
  }

  private static double[] unit(String json, int index) {
    var unit = tools.jackson.databind.json.JsonMapper.shared().readTree(json).get(index);
    return new double[] {unit.get("mean").doubleValue(), unit.get("deviation").doubleValue()};
  }

  @Test
  void animalsAreHeldOutByPattern() throws IOException {
    TinyRun run = TinyRun.in(folder);
    Path path = folder.resolve("run");
    run.finetune(path, "prompts.source=animal_activities", "prompts.held_out=^an ", "epochs=1");
    String held = Files.readString(path.resolve("images/heldout-after/gallery.json"));
    assertTrue(held.contains("an ant "), held);
    String trained = Files.readString(path.resolve("images/training-after/gallery.json"));
    assertTrue(!trained.contains("\"an "), trained);
  }

  @Test
  void whatWasWatchedTwiceNeedsNames() throws IOException {
    TinyRun run = TinyRun.in(folder);
    for (String watch : List.of("[recognised, recognised]", "[jpeg_compressibility]")) {
      Path path = folder.resolve("run");
      assertThrows(ReverieException.class, () -> run.finetune(path, "watch=" + watch));
    }
  }
}
