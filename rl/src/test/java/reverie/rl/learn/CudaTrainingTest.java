// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import reverie.rl.advantage.GroupAdvantages;
import reverie.rl.objective.DdpoImportanceSampled;
import reverie.rl.objective.RolloutObjective;
import reverie.rl.prompt.PromptSource;
import reverie.tensor.Device;
import reverie.tensor.cuda.HostCuda;
import reverie.tensor.cuda.driver.Precision;

/** Every objective trains through the CUDA backend as on the processor. */
@EnabledIf(value = "reverie.tensor.cuda.HostCuda#isAvailable", disabledReason = HostCuda.REASON)
class CudaTrainingTest {
  private static final int EPOCHS = 2;

  static Stream<RolloutObjective> objectives() {
    return Stream.concat(TrainerTest.objectives(), ChainTrainingTest.objectives().stream());
  }

  private static List<EpochReport> train(Device device, RolloutObjective objective) {
    try (var model = new TinyModel(device);
        Trainer trainer =
            new Trainer(
                model.policy(1, 2),
                objective,
                new GroupAdvantages(),
                PromptSource.of("a cat", "a dog", "an owl", "a bee"),
                TrainerTest.BRIGHTNESS,
                ChainTrainingTest.settings())) {
      return Stream.generate(trainer::epoch).limit(EPOCHS).toList();
    }
  }

  @ParameterizedTest
  @MethodSource("objectives")
  void agreesWithTheProcessor(RolloutObjective objective) {
    List<EpochReport> expected = train(Device.cpu(), objective);
    List<EpochReport> got = train(new Device(HostCuda.backend(Precision.FLOAT32)), objective);
    for (int i = 0; i < EPOCHS; i++) {
      double reward = expected.get(i).rewards().mean();
      assertEquals(reward, got.get(i).rewards().mean(), 1e-4 * Math.abs(reward), "epoch " + i);
    }
  }

  @ParameterizedTest
  @EnumSource
  void ratioIsOneInEveryPrecision(Precision precision) {
    Device device = new Device(HostCuda.backend(precision));
    EpochReport first = train(device, new DdpoImportanceSampled(1e-2, 5)).getFirst();
    assertTrue(first.ratioDeviation() <= 1e-6, "deviation " + first.ratioDeviation());
    assertTrue(first.largestRatio() > 1.001, "largest " + first.largestRatio());
  }
}
