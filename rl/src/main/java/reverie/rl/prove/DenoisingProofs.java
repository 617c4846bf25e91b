// SPDX-License-Identifier: Apache-2.0
package reverie.rl.prove;

import java.util.ArrayList;
import java.util.List;
import reverie.autograd.optim.AdamW;
import reverie.diffusion.analytic.GaussianChain;
import reverie.rl.advantage.RawAdvantages;
import reverie.rl.learn.Trainer;
import reverie.rl.learn.TrainerSettings;
import reverie.rl.objective.DiffusionDpo;
import reverie.rl.objective.OdeDpo;
import reverie.rl.objective.RewardWeightedRegression;
import reverie.rl.preference.Preference;
import reverie.rl.preference.PreferenceDataset;
import reverie.rl.prompt.Prompt;
import reverie.rl.prompt.PromptSource;
import reverie.tensor.Device;

/** Objectives that look at denoising losses, with a model of one weight. */
public final class DenoisingProofs {
  private DenoisingProofs() {}

  /** All of them. */
  public static List<Proof> all() {
    return List.of(new Rwr(1.5), new Choices(0.6, 20), new ExactChoices(0.6, 0.5));
  }

  private static TrainerSettings settings(int samples, int passes, double rate, double average) {
    return TrainerSettings.defaults()
        .with(it -> {
          it.promptsPerEpoch(1);
          it.samplesPerPrompt(samples);
          it.samplingBatch(samples);
          it.trainingBatch(samples);
          it.updatesPerEpoch(1);
          it.passes(passes);
          it.learningRate(rate);
          it.optimizer(AdamW.Options.weightDecay(0));
          it.gradientClip(1e9);
          it.emaDecay(average);
        });
  }

  /**
   * Weights {@code exp(β x_0)} tilt the samples' N(m, v) to N(m + β v, v), and the denoising loss
   * is least for the model whose data have the mean of the weighted samples.
   *
   * @param beta of the weights
   */
  private record Rwr(double beta) implements Proof {
    @Override
    public String name() {
      return "ends at the mean of the tilted samples";
    }

    @Override
    public Result run() {
      try (var gaussian = MovableGaussian.mean(Device.reference());
          Trainer trainer =
              new Trainer(
                  gaussian.policy(),
                  new RewardWeightedRegression(beta, true, 1),
                  new RawAdvantages(),
                  PromptSource.of("x"),
                  GaussianPolicy.SAMPLE,
                  settings(4096, 120, 2e-2, 0.95))) {
        trainer.epoch();
        double reached =
            1 + trainer.average().orElseThrow().get(gaussian.theta().name()).value().item();
        GaussianChain drawn = GaussianChain.of(gaussian.policy().process(), 1, 0.5);
        return Result.of("rwr", reached, drawn.mean() + beta * drawn.variance(), 0.02);
      }
    }
  }

  /** Four choices between two images, of which three prefer the second. */
  private static List<Preference> threeOfFour(float[] low, float[] high) {
    List<Preference> pairs = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      pairs.add(new Preference(new Prompt("x"), i == 0 ? low : high, i == 0 ? high : low));
    }
    return pairs;
  }

  /**
   * Of two images that lie {@code gap} apart the higher one is chosen three times out of four. At
   * the same t and noise the two excess losses differ by {@code -2 θ gap}, so that the loss is the
   * logistic regression of the choice on {@code β θ gap}: it ends where that is log 3.
   *
   * @param gap of the images
   * @param beta of the objective
   */
  private record Choices(double gap, double beta) implements Proof {
    @Override
    public String name() {
      return "ends at the log-odds of the choices";
    }

    @Override
    public Result run() {
      float[] low = {0.75f};
      float[] high = {(float) (low[0] + gap)};
      List<Preference> pairs = threeOfFour(low, high);
      try (var gaussian = MovableGaussian.evenly(Device.reference());
          Trainer trainer =
              new Trainer(
                  gaussian.policy(),
                  new DiffusionDpo(beta),
                  PreferenceDataset.of(pairs),
                  settings(pairs.size(), 1, 5e-3, 0))) {
        trainer.run(400);
        double distance = (double) high[0] - low[0];
        double exact = Math.log(3) / (beta * distance);
        return Result.of("diffusion_dpo", gaussian.theta().value().item(), exact, 1e-6);
      }
    }
  }

  /**
   * The same by exact log-likelihoods of a flow, with θ the mean of the data: those of the two
   * images differ by {@code θ gap / s²} more than the reference's, so that it ends where {@code β θ
   * gap / s² = log 3}, s² = 0.25.
   *
   * @param gap of the images
   * @param beta weight of the KL between the images' distributions
   */
  private record ExactChoices(double gap, double beta) implements Proof {
    @Override
    public String name() {
      return "ends at the optimum of the images' own KL";
    }

    @Override
    public Result run() {
      float[] low = {0.75f};
      float[] high = {(float) (low[0] + gap)};
      List<Preference> pairs = threeOfFour(low, high);
      var objective = new OdeDpo(beta, 12, 0);
      try (var gaussian = MovableGaussian.flow(Device.reference());
          Trainer trainer =
              new Trainer(
                  gaussian.policy(),
                  objective,
                  PreferenceDataset.of(pairs),
                  settings(pairs.size(), 1, 0.15, 0))) {
        trainer.run(100);
        double distance = (double) high[0] - low[0];
        double exact = 0.25 * Math.log(3) / (beta * distance);
        return Result.of(objective.name(), gaussian.theta().value().item(), exact, 1e-3);
      }
    }
  }
}
