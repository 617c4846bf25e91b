// SPDX-License-Identifier: Apache-2.0
package reverie.rl.prove;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import reverie.rl.Statistics;
import reverie.rl.advantage.RawAdvantages;
import reverie.rl.learn.Trainer;
import reverie.rl.learn.TrainerSettings;
import reverie.rl.objective.Ppod.Span;
import reverie.rl.objective.Prdp;
import reverie.rl.prompt.PromptSource;
import reverie.tensor.Device;

/** What the proofs of objectives of whole chains rest on. */
class ChainProofsTest {
  /** With other choices another shift: the exact one is within 4 standard errors of their mean. */
  @Test
  void chanceLeavesTheOptimumInsideItsInterval() {
    double[] shifts =
        LongStream.rangeClosed(1, 4)
            .mapToDouble(seed -> ChainProofs.ppod(Span.CHAIN, 200, seed).run().reached())
            .toArray();
    double error = Statistics.std(shifts, 1) / Math.sqrt(shifts.length);
    assertTrue(error < 0.01, "standard error " + error);
    assertEquals(0.25939, Statistics.mean(shifts), 4 * error);
  }

  /**
   * At the optimum rewards of samples from one x_T are regressed exactly, but for their single
   * precision. Samples with starts of their own differ by G_T Δx_T that no step explains: each pair
   * of a prompt adds its square over β², twice the variance of x_T on average.
   */
  @Test
  void prdpIsLeastAtTheOptimum() {
    double beta = ChainProofs.BETA * GaussianPolicy.STEPS;
    assertEquals(0, lossAtTheOptimum(beta, true), 1e-14);
    double floor = 7.194538957606743e-5;
    int prompts = 256;
    double error = floor * Math.sqrt(2.0 / 15 / prompts);
    assertEquals(floor, lossAtTheOptimum(beta, false), 5 * error);
  }

  private static double lossAtTheOptimum(double beta, boolean sharedStart) {
    TrainerSettings settings =
        TrainerSettings.defaults()
            .with(it -> {
              it.promptsPerEpoch(256);
              it.samplesPerPrompt(16);
              it.sharedStart(sharedStart);
              it.samplingBatch(1024);
              it.trainingBatch(1024);
              it.updatesPerEpoch(1);
            });
    try (var gaussian = new GaussianPolicy(Device.reference())) {
      gaussian.bias(gaussian.chain().optimum(1, ChainProofs.BETA));
      String[] prompts =
          IntStream.range(0, settings.promptsPerEpoch())
              .mapToObj(Integer::toString)
              .toArray(String[]::new);
      try (Trainer trainer =
          new Trainer(
              gaussian.policy(),
              new Prdp(beta, 0.5, Prdp.Time.MEAN),
              new RawAdvantages(),
              PromptSource.of(prompts),
              GaussianPolicy.SAMPLE,
              settings)) {
        return trainer.epoch().loss();
      }
    }
  }

  /** Steps by themselves take what the others decide for noise. */
  @Test
  void stepsByThemselvesStopShort() {
    try (var gaussian = new GaussianPolicy(Device.reference())) {
      double[] whole = gaussian.chain().optimum(1, ChainProofs.BETA);
      double[] single = ChainProofs.perStep(gaussian.chain());
      for (int i = 0; i < whole.length; i++) {
        assertTrue(single[i] > 0.94 * whole[i] && single[i] < 0.97 * whole[i], "step " + i);
      }
      assertEquals(0.24718, gaussian.shift(single), 1e-5);
    }
  }
}
