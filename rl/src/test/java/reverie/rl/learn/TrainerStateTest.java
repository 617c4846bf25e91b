// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.autograd.nn.Parameter;
import reverie.diffusion.LogProbReduction;
import reverie.diffusion.ReversePolicy;
import reverie.diffusion.SchedulerConfig;
import reverie.rl.Policy;
import reverie.rl.advantage.PerPromptAdvantages;
import reverie.rl.objective.DdpoImportanceSampled;
import reverie.rl.objective.Dpok;
import reverie.rl.objective.ValueFunction;
import reverie.rl.prompt.PromptSource;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.io.Safetensors;

class TrainerStateTest {
  @TempDir Path folder;

  private static TrainerSettings settings() {
    return TrainerTest.settings()
        .with(it -> {
          it.emaDecay(0.9);
          it.klWeight(0.05);
          it.passes(2);
          it.stepFraction(0.6);
        });
  }

  private static Trainer trainer(TinyModel model, TrainerSettings settings, String... prompts) {
    String[] usual = {"a cat", "a dog", "owl"};
    return trainer(model.policy(1, 2), settings, prompts.length == 0 ? usual : prompts);
  }

  private static Trainer trainer(Policy policy, TrainerSettings settings, String... prompts) {
    return new Trainer(
        policy,
        new DdpoImportanceSampled(1e-2, 5),
        new PerPromptAdvantages(16, 4),
        PromptSource.of(prompts),
        TrainerTest.BRIGHTNESS,
        settings);
  }

  @Test
  void fourEpochsEqualTwoAndTwoAfterResumingBitForBit() {
    Path file = folder.resolve("state.safetensors");
    try (var straight = new TinyModel(Device.cpu());
        var first = new TinyModel(Device.cpu());
        var second = new TinyModel(Device.cpu());
        Trainer all = trainer(straight, settings());
        Trainer before = trainer(first, settings());
        Trainer after = trainer(second, settings())) {
      all.run(4);
      before.run(2);
      before.save(file);
      after.resume(file);
      assertEquals(2, after.epochs());
      assertEquals(48, after.rewardQueries());
      after.run(2);
      TrainerTest.assertSame(TrainerTest.weights(straight), TrainerTest.weights(second));
      List<Parameter> expected = all.average().orElseThrow().all();
      List<Parameter> average = after.average().orElseThrow().all();
      for (int i = 0; i < expected.size(); i++) {
        assertArrayEquals(expected.get(i).value().toFloats(), average.get(i).value().toFloats());
      }
      Path one = folder.resolve("one.safetensors");
      Path other = folder.resolve("other.safetensors");
      all.save(one);
      after.save(other);
      assertEquals(-1, mismatch(one, other));
      assertEquals(all.epoch().rewards(), after.epoch().rewards());
    }
  }

  @Test
  void aLearntBaselineGoesOnBitForBit() {
    Path half = folder.resolve("half");
    Path[] ends = {folder.resolve("straight"), folder.resolve("resumed")};
    try (var model = new TinyModel(Device.cpu());
        Trainer trainer = dpok(model)) {
      trainer.run(2);
      trainer.save(half);
      trainer.run(2);
      trainer.save(ends[0]);
      assertTrue(trainer.captureFailure().isEmpty(), () -> trainer.captureFailure().orElseThrow());
    }
    try (var model = new TinyModel(Device.cpu());
        Trainer trainer = dpok(model)) {
      trainer.resume(half);
      trainer.run(2);
      trainer.save(ends[1]);
      assertTrue(trainer.epoch().more().get("value_loss") > 0);
    }
    assertEquals(-1, mismatch(ends[0], ends[1]));
    try (var model = new TinyModel(Device.cpu());
        Trainer other = trainer(model, settings())) {
      refused(other, half, "another objective");
    }
  }

  private static Trainer dpok(TinyModel model) {
    return new Trainer(
        model.policy(1, 2),
        new Dpok(1e-2, 5, new ValueFunction(8, 1e-2, 4, 10)),
        new PerPromptAdvantages(16, 4),
        PromptSource.of("a cat", "a dog", "owl"),
        TrainerTest.BRIGHTNESS,
        settings());
  }

  @Test
  void runsAreTheSameBitForBit() {
    Path[] files = {folder.resolve("a"), folder.resolve("b")};
    for (Path file : files) {
      try (var model = new TinyModel(Device.cpu());
          Trainer trainer = trainer(model, settings())) {
        trainer.run(2);
        trainer.save(file);
      }
    }
    assertEquals(-1, mismatch(files[0], files[1]));
  }

  @Test
  void otherConfigurationsAreNamedAndNothingChanges() throws IOException {
    Path file = folder.resolve("state.safetensors");
    try (var model = new TinyModel(Device.cpu());
        Trainer trainer = trainer(model, settings())) {
      trainer.run(1);
      trainer.save(file);
    }
    try (var model = new TinyModel(Device.cpu())) {
      List<float[]> before = TrainerTest.weights(model);
      refused(model, settings().withSeed(3), file, "another seed", "then 11", "now  3");
      refused(model, settings().withEmaDecay(0), file, "another emaDecay");
      try (Trainer other = trainer(model, settings(), "a cat")) {
        refused(other, file, "another prompts");
      }
      try (Trainer other = trainer(model, settings())) {
        other.identify(Map.of("base", "another model"));
        refused(other, file, "another base");
      }
      ReversePolicy process = model.policy(1, 2).process();
      refused(model, process.reducedBy(LogProbReduction.SUM), file, "another log_probability");
      refused(
          model,
          ReversePolicy.ddim(SchedulerConfig.stableDiffusion(), 6, 1),
          file,
          "another timesteps");
      byte[] bytes = Files.readAllBytes(file);
      Path cut = Files.write(folder.resolve("cut"), Arrays.copyOf(bytes, bytes.length - 5));
      refused(model, settings(), cut, "cut");
      refused(model, settings(), folder.resolve("none"), "none");
      TrainerTest.assertSame(before, TrainerTest.weights(model));
    }
  }

  @Test
  void noBitOfAStateMayChange() throws IOException {
    Path file = folder.resolve("state.safetensors");
    try (var model = new TinyModel(Device.cpu());
        Trainer trainer = trainer(model, settings())) {
      trainer.run(1);
      trainer.save(file, Map.of("seconds", 0.5));
      assertEquals(Map.of("seconds", 0.5), trainer.resume(file));
      byte[] bytes = Files.readAllBytes(file);
      for (int i = 0; i < 40; i++) {
        byte[] changed = bytes.clone();
        changed[(int) ((long) i * (bytes.length - 1) / 39)] ^= (byte) (1 << i % 8);
        refused(trainer, Files.write(folder.resolve("changed"), changed), "changed");
      }
      for (Map.Entry<String, Long> wrong :
          List.of(
              Map.entry("epoch", -1L),
              Map.entry("epoch", 2L),
              Map.entry("updates", 100_000_000_000L),
              Map.entry("optimizer_steps", 3L),
              Map.entry("average_updates", 3L))) {
        Path forged = folder.resolve("forged");
        forge(file, forged, Map.of("counter." + wrong.getKey(), wrong.getValue().toString()), "");
        refused(trainer, forged, "forged", wrong.getKey());
      }
      for (String name : names(file)) {
        Path forged = folder.resolve("infinite");
        forge(file, forged, Map.of(), name);
        refused(trainer, forged, name + " holds NaN or infinity");
      }
    }
  }

  /** The same state with another counter, and a checksum that is right. */
  private static Set<String> names(Path file) {
    try (Safetensors source = Safetensors.open(file)) {
      return Set.copyOf(source.names());
    }
  }

  /** A sound file with other metadata, and a tensor of which one number is infinite. */
  private static void forge(Path from, Path to, Map<String, String> changed, String infinite) {
    try (Safetensors source = Safetensors.open(from)) {
      Map<String, Safetensors.Entry> entries = new LinkedHashMap<>();
      source
          .names()
          .forEach(name -> {
            float[] values = source.floats(name);
            if (name.equals(infinite)) {
              values[values.length - 1] = Float.POSITIVE_INFINITY;
            }
            entries.put(
                name, new Safetensors.Entry(source.dtype(name), source.shape(name), values));
          });
      Map<String, String> metadata = new TreeMap<>(source.metadata());
      metadata.putAll(changed);
      Safetensors.writeChecked(to, entries, metadata);
    }
  }

  private static void refused(
      TinyModel model, TrainerSettings settings, Path file, String... parts) {
    try (Trainer trainer = trainer(model, settings)) {
      refused(trainer, file, parts);
    }
  }

  private static void refused(TinyModel model, ReversePolicy process, Path file, String part) {
    try (Trainer trainer =
        trainer(model.policy(1, 2).along(process), settings(), "a cat", "a dog", "owl")) {
      refused(trainer, file, part);
    }
  }

  private static void refused(Trainer trainer, Path file, String... parts) {
    var error = assertThrows(ReverieException.class, () -> trainer.resume(file));
    TrainerTest.assertContains(error, parts);
  }

  private static long mismatch(Path a, Path b) {
    try {
      return Files.mismatch(a, b);
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }
}
