// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import reverie.autograd.nn.Lora;
import reverie.diffusion.Denoiser;
import reverie.rl.Policy;
import reverie.rl.advantage.GroupAdvantages;
import reverie.rl.objective.DdpoImportanceSampled;
import reverie.rl.prompt.PromptSource;
import reverie.tensor.Device;
import reverie.tensor.Rng;

/** Training low-rank adapters, with the model they sit on as the reference. */
class LoraTrainingTest {
  private static final TrainerSettings SETTINGS = TrainerTest.settings().withKlWeight(0.005);

  private static Lora lora(TinyModel model) {
    return new Lora(model.parameters, new Lora.Size(2, 2), name -> true, Rng.of(3));
  }

  private static Trainer trainer(Policy policy) {
    return new Trainer(
        policy,
        new DdpoImportanceSampled(1e-2, 5),
        new GroupAdvantages(),
        PromptSource.of("a", "b", "c"),
        TrainerTest.BRIGHTNESS,
        SETTINGS);
  }

  @Test
  void adaptersLearnWhileTheModelStays() {
    try (var model = new TinyModel(Device.cpu());
        Lora lora = lora(model)) {
      List<float[]> before = TrainerTest.weights(model);
      Policy policy = model.policy(1, 2, lora.parameters(), switchedOff(model, lora));
      try (Trainer trainer = trainer(policy)) {
        double first = meanOfFive(trainer);
        trainer.run(20);
        double last = meanOfFive(trainer);
        assertTrue(last > first + 0.05, first + " to " + last);
        assertTrue(trainer.epoch().klToBase() > 0);
      }
      TrainerTest.assertSame(before, TrainerTest.weights(model));
    }
  }

  @Test
  void aFrozenCopyAndSwitchedOffAdaptersAreTheSameReference() {
    double[][] reached = new double[2][];
    for (int i = 0; i < 2; i++) {
      try (var model = new TinyModel(Device.cpu());
          Lora lora = lora(model)) {
        Denoiser reference = i == 0 ? TinyModel.denoiser(model.frozen) : switchedOff(model, lora);
        Policy policy = model.policy(1, 2, lora.parameters(), reference);
        try (Trainer trainer = trainer(policy)) {
          trainer.run(3);
          reached[i] = new double[] {trainer.epoch().klToBase(), trainer.epoch().rewards().mean()};
          assertEquals(5, trainer.epochs());
        }
      }
    }
    assertArrayEquals(reached[0], reached[1]);
  }

  private static double meanOfFive(Trainer trainer) {
    return IntStream.range(0, 5).mapToDouble(_ -> trainer.epoch().rewards().mean()).sum() / 5;
  }

  private static Denoiser switchedOff(TinyModel model, Lora lora) {
    return (x, timesteps, context) ->
        lora.without(() -> model.denoiser.predict(x, timesteps, context));
  }
}
