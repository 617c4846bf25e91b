// SPDX-License-Identifier: Apache-2.0
package reverie.rl.prove;

import java.util.Arrays;
import java.util.List;
import reverie.autograd.optim.AdamW;
import reverie.rl.Statistics;
import reverie.rl.advantage.Advantages;
import reverie.rl.advantage.GroupAdvantages;
import reverie.rl.learn.TrainerSettings;
import reverie.rl.objective.DdpoImportanceSampled;
import reverie.rl.objective.DdpoScoreFunction;
import reverie.rl.objective.Dpok;
import reverie.rl.objective.DpokPublished;
import reverie.rl.objective.Grpo;
import reverie.rl.objective.StepObjective;
import reverie.rl.objective.ValueFunction;
import reverie.tensor.Device;

/**
 * Objectives of single decisions against the optimum of {@code E[x_0] - KL / 2} on the Gaussian
 * chain: the biases {@code G_i σ_i² / 0.5}, by which the mean of x_0 moves by 0.25939.
 */
public final class StepProofs {
  private static final double BETA = ChainProofs.BETA;

  /** So wide that nothing is clipped away for good. */
  private static final double RANGE = 0.2;

  private static final double NO_LIMIT = 1e9;

  /** So many updates that chance moves no bias by more than the tolerance. */
  private static final int UPDATES = 200;

  private static final double TOLERANCE = 0.03;

  private StepProofs() {}

  /** All of them, with the identities of single decisions. */
  public static List<Proof> all() {
    var value = new ValueFunction(4, 1e-2, 2, 32);
    return List.of(
        regularised(new DdpoScoreFunction(), 1),
        regularised(new DdpoImportanceSampled(RANGE, NO_LIMIT), 4),
        grpo(),
        regularised(new Dpok(RANGE, NO_LIMIT, value), 4),
        published(value),
        new StepIdentities.RatioOfOne(),
        new StepIdentities.NoDivergence(),
        new StepIdentities.InertClipping());
  }

  /** Rewards without their mean, in their own unit, as the closed form has them. */
  private record Centred() implements Advantages {
    @Override
    public String name() {
      return "centred";
    }

    @Override
    public double[] of(List<String> prompts, double[] rewards) {
      double mean = Statistics.mean(rewards);
      return Arrays.stream(rewards).map(r -> r - mean).toArray();
    }
  }

  private static Proof regularised(StepObjective objective, int updates) {
    return proof(
        "ends at the KL-regularised optimum", objective, new Centred(), updates, BETA, optimum());
  }

  /** Its advantages have a deviation of 1, so that β counts in standard deviations of x_0. */
  private static Proof grpo() {
    try (var gaussian = new GaussianPolicy(Device.reference())) {
      return proof(
          "ends at the KL-regularised optimum, rewards scaled",
          new Grpo(RANGE, NO_LIMIT),
          new GroupAdvantages(),
          4,
          BETA / Math.sqrt(gaussian.chain().variance()),
          optimum());
    }
  }

  private static double[] optimum() {
    try (var gaussian = new GaussianPolicy(Device.reference())) {
      return gaussian.chain().optimum(1, BETA);
    }
  }

  /**
   * A bias m changes the output of its step by {@code m / f}, f being the output's factor in the
   * mean: the optimum of {@code Σ G m - w Σ (m / f)²} is {@code m = G f² / (2 w)}.
   */
  private static Proof published(ValueFunction value) {
    double weight = 0.25;
    try (var gaussian = new GaussianPolicy(Device.reference())) {
      double[] optimum = gaussian.chain().gains();
      for (int i = 0; i < optimum.length; i++) {
        double factor = gaussian.policy().process().outputFactor(i);
        optimum[i] *= factor * factor / (2 * weight);
      }
      return proof(
          "ends at the optimum of its own penalty",
          new DpokPublished(RANGE, value),
          new Centred(),
          1,
          weight,
          optimum);
    }
  }

  private static Proof proof(
      String name,
      StepObjective objective,
      Advantages advantages,
      int updates,
      double klWeight,
      double[] optimum) {
    TrainerSettings settings =
        TrainerSettings.defaults()
            .with(it -> {
              it.promptsPerEpoch(1);
              it.samplesPerPrompt(128);
              it.samplingBatch(128);
              it.trainingBatch(128);
              it.updatesPerEpoch(Math.min(updates, 2));
              it.passes(Math.max(1, updates / 2));
              it.klWeight(klWeight);
              it.learningRate(4e-3);
              it.optimizer(AdamW.Options.weightDecay(0));
              it.gradientClip(1e9);
              it.emaDecay(0.98);
            });
    return new RegularisedOptimum(
        name,
        objective,
        advantages,
        GaussianPolicy.SAMPLE,
        settings,
        UPDATES / updates,
        optimum,
        TOLERANCE);
  }
}
