// SPDX-License-Identifier: Apache-2.0
package reverie.app.finetune;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import reverie.app.data.DataSet;
import reverie.app.model.ModelFolder;
import reverie.app.model.ModelPrompts;
import reverie.app.report.Summary;
import reverie.app.run.Interruption;
import reverie.app.run.Metrics;
import reverie.app.run.RunFolder;
import reverie.diffusion.SchedulerConfig;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.unet.UNet;

/** Runs that go on, and runs that must not. */
class ResumedRunsTest extends IconRuns {
  @Test
  void anInterruptedRunEndsWithTheSameBits() throws IOException {
    Path whole = folder.resolve("whole");
    finetune(whole, false, () -> false);
    Path cut = folder.resolve("cut");
    Interruption.Stopped stopped =
        assertThrows(
            Interruption.Stopped.class,
            () -> finetune(cut, false, () -> Files.exists(cut.resolve("images/heldout-before"))));
    assertTrue(
        stopped.getMessage().contains("after epoch 1; go on with --resume " + cut),
        stopped::getMessage);
    // What a kill -9 would leave as well.
    Files.writeString(
        cut.resolve("metrics.jsonl"),
        Files.readString(cut.resolve("metrics.jsonl")) + "{\"step\":2,\"reward_mean\":0}\n{\"st");
    finetune(cut, true, () -> false);

    Path weights = Path.of("model/unet/diffusion_pytorch_model.safetensors");
    assertArrayEquals(
        Files.readAllBytes(whole.resolve(weights)), Files.readAllBytes(cut.resolve(weights)));
    assertEquals(rewards(whole), rewards(cut));
    assertEquals(List.of(0L, 1L, 2L), Metrics.read(cut).stream().map(Metrics.Line::step).toList());
    Summary summary = Summary.read(cut).orElseThrow();
    assertEquals(8, summary.rewardQueries());
    assertEquals(6, summary.heldoutAfter().n());
    assertTrue(summary.ratioSelfTestMaxDeviation() <= 1e-5);
    assertTrue(Files.exists(cut.resolve("report.html")));
    assertTrue(Files.exists(cut.resolve("images/before-after.png")));
  }

  @Test
  void resumingMakesWhatIsMissing() throws IOException {
    Path run = folder.resolve("whole");
    finetune(run, false, () -> false);
    Path weights = run.resolve("model/unet/diffusion_pytorch_model.safetensors");
    byte[] model = Files.readAllBytes(weights);
    String report = Files.readString(run.resolve("report.html"));
    Summary summary = Summary.read(run).orElseThrow();
    Files.delete(run.resolve("report.html"));
    Files.delete(run.resolve("summary.json"));
    Files.delete(weights);
    Files.delete(run.resolve("images/training-before/001.png"));
    Files.delete(run.resolve("images/heldout-after/gallery.json"));
    // Also without what was measured, for the checkpoint knows what the summary needs.
    Files.delete(run.resolve("metrics.jsonl"));
    finetune(run, true, () -> false);
    assertArrayEquals(model, Files.readAllBytes(weights));
    assertEquals(summary.rewardBefore(), Summary.read(run).orElseThrow().rewardBefore());
    assertEquals(summary.rewardAfter(), Summary.read(run).orElseThrow().rewardAfter());
    assertEquals(figures(report), figures(Files.readString(run.resolve("report.html"))));
    // The weights alone.
    Files.delete(weights);
    finetune(run, true, () -> false);
    assertArrayEquals(model, Files.readAllBytes(weights));
  }

  /** Scores of the base model that were changed are measured again, and damage is no error. */
  @Test
  void scoresOfTheBaseModelAreNotTakenOnTrust() throws IOException {
    Path run = folder.resolve("run");
    finetune(run, false, () -> false, "epochs=1");
    Summary summary = Summary.read(run).orElseThrow();
    Path file = run.resolve("evaluation-before.json");
    String scores = Files.readString(file);
    for (String other :
        List.of(
            scores.replaceFirst("-(\\d)", "-9$1"),
            "{\"training\": {\"a\": 1}, \"heldout\": 7}",
            "[null]",
            "")) {
      Files.writeString(file, other);
      Files.delete(run.resolve("summary.json"));
      finetune(run, true, () -> false, "epochs=1");
      Summary again = Summary.read(run).orElseThrow();
      assertEquals(summary.rewardBefore(), again.rewardBefore(), other);
      assertEquals(summary.rewardChange(), again.rewardChange(), other);
    }
  }

  private static long figures(String report) {
    return report.lines().flatMap(line -> Stream.of(line.split("<img "))).count();
  }

  @Test
  void aDamagedFileOfARunIsOneError() throws IOException {
    Path run = folder.resolve("run");
    assertThrows(
        Interruption.Stopped.class,
        () -> finetune(run, false, () -> Files.exists(run.resolve("images/heldout-before"))));
    Path checkpoint = run.resolve("checkpoint.safetensors");
    byte[] whole = Files.readAllBytes(checkpoint);
    byte[] flipped = whole.clone();
    flipped[flipped.length - 1000] ^= 4;
    Files.write(checkpoint, flipped);
    assertRefused(run, checkpoint + " is damaged");
    Files.write(checkpoint, Arrays.copyOf(whole, 100));
    assertRefused(run, checkpoint.toString());
    Files.delete(checkpoint);
    String metrics = Files.readString(run.resolve("metrics.jsonl"));
    Files.writeString(
        run.resolve("metrics.jsonl"), metrics + "{\"step\":2}\n", StandardOpenOption.WRITE);
    assertRefused(run, "checkpoint.safetensors is missing, though the run came to epoch 2");
    Files.write(checkpoint, whole);
    Files.writeString(run.resolve("metrics.jsonl"), "[]\n" + metrics);
    assertRefused(run, "line 1 is damaged");
    Files.writeString(run.resolve("metrics.jsonl"), metrics);
    Files.writeString(run.resolve("versions.json"), "no");
    assertRefused(run, "versions.json: this is no JSON");
    Files.delete(run.resolve("versions.json"));
    finetune(run, true, () -> false);
    Files.writeString(run.resolve("summary.json"), "{\"reward_before\": 7}");
    assertRefused(run, "summary.json: expected a number or null for mean");
  }

  private void assertRefused(Path run, String part) {
    ReverieException error =
        assertThrows(ReverieException.class, () -> finetune(run, true, () -> false));
    assertTrue(error.getMessage().contains(part), error::getMessage);
    assertTrue(error.getMessage().contains("\nhint: "), error::getMessage);
  }

  @Test
  void aRunGoesOnForMoreEpochsWithTheSameBits() throws IOException {
    Path whole = folder.resolve("whole");
    finetune(whole, false, () -> false, "epochs=3");
    Path longer = folder.resolve("longer");
    finetune(longer, false, () -> false, "epochs=2");
    finetune(longer, true, () -> false, "epochs=3");
    assertArrayEquals(
        Files.readAllBytes(whole.resolve(WEIGHTS)), Files.readAllBytes(longer.resolve(WEIGHTS)));
    assertEquals(rewards(whole), rewards(longer));
    assertTrue(Files.readString(longer.resolve(RunFolder.CONFIG)).contains("epochs: 3"));
    ReverieException fewer =
        assertThrows(ReverieException.class, () -> finetune(longer, true, () -> false, "epochs=1"));
    assertTrue(fewer.getMessage().contains("epochs: 3 → 1"), fewer::getMessage);
  }

  @Test
  void anotherBaseModelIsNotResumedWith() throws IOException {
    Path model = folder.resolve("model");
    try (UNet unet = UNet.load(shared.resolve("model/unet"), Device.cpu())) {
      new ModelFolder(
              unet, SchedulerConfig.defaults(), ENCODER.identity(), ModelPrompts.of(DataSet.ICONS))
          .write(model);
      Path run = folder.resolve("run");
      finetune(run, false, () -> false, "model=" + model, "epochs=1");
      try (Scope _ = Scope.open("change")) {
        Tensor weight = unet.parameters().all().getFirst().value();
        weight.assign(weight.add(1e-3));
      }
      new ModelFolder(
              unet, SchedulerConfig.defaults(), ENCODER.identity(), ModelPrompts.of(DataSet.ICONS))
          .write(model);
      refuses(run, model, "another base_weights");
    }
  }

  @Test
  void anotherSchedulerIsNotResumedWith() throws IOException {
    Path model = folder.resolve("model");
    try (UNet unet = UNet.load(shared.resolve("model/unet"), Device.cpu())) {
      new ModelFolder(
              unet, SchedulerConfig.defaults(), ENCODER.identity(), ModelPrompts.of(DataSet.ICONS))
          .write(model);
    }
    Path run = folder.resolve("run");
    finetune(run, false, () -> false, "model=" + model, "epochs=1");
    SchedulerConfig.defaults().withClipping(2).write(model.resolve("scheduler"));
    refuses(run, model, "another scheduler");
  }

  private static void refuses(Path run, Path model, String part) {
    ReverieException error =
        assertThrows(
            ReverieException.class,
            () -> finetune(run, true, () -> false, "model=" + model, "epochs=2"));
    assertTrue(error.getMessage().contains(part), error::getMessage);
  }
}
