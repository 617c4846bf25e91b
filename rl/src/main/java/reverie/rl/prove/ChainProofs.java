// SPDX-License-Identifier: Apache-2.0
package reverie.rl.prove;

import java.util.List;
import java.util.function.Consumer;
import java.util.function.DoubleUnaryOperator;
import java.util.stream.IntStream;
import reverie.autograd.optim.AdamW;
import reverie.diffusion.analytic.GaussianChain;
import reverie.rl.learn.TrainerSettings;
import reverie.rl.learn.TrainerSettingsBuilder;
import reverie.rl.objective.PlackettLuce;
import reverie.rl.objective.Ppod;
import reverie.rl.objective.Ppod.Link;
import reverie.rl.objective.Ppod.Span;
import reverie.rl.objective.Prdp;
import reverie.rl.reward.Reward;
import reverie.tensor.Device;
import reverie.tensor.Rng;

/**
 * Objectives of whole chains against the optimum of {@code E[x_0] - KL / 2} on the Gaussian chain:
 * the biases {@code G_i σ_i² / 0.5}, by which the mean of x_0 moves by 0.25939.
 */
public final class ChainProofs {
  /** Weight of the true KL. */
  static final double BETA = 0.5;

  /**
   * {@code x_0} plus noise of Gumbel's distribution: comparing it is choosing by Bradley and
   * Terry's model of x_0, and ranking by it choosing by Plackett and Luce's.
   */
  static final Reward CHOICE =
      Reward.named(
          "choice",
          batch -> {
            double[] scores = new double[batch.size()];
            for (int i = 0; i < scores.length; i++) {
              float value = batch.values()[i];
              double u = Rng.of(1).fork(Float.floatToIntBits(value)).uniform(0);
              scores[i] = 2.0 * value - 1 - Math.log(-Math.log(Math.max(u, 1e-300)));
            }
            return scores;
          });

  /** So many that chance moves no bias by more than the tolerance. */
  private static final int EPOCHS = 250;

  private ChainProofs() {}

  /** All of them, with the identities of the losses. */
  public static List<Proof> all() {
    return List.of(
        prdp("", 5e-5, _ -> {}),
        prdp(", samples of the base model", 5e-5, it -> it.offline(true)),
        prdp(
            ", each sample from its own x_T",
            5e-3,
            it -> {
              it.promptsPerEpoch(8);
              it.sharedStart(false);
              it.emaDecay(0.995);
            }),
        ppod(Span.CHAIN, EPOCHS, 0),
        ppod(Span.STEP, EPOCHS, 0),
        plackettLuce(),
        new ChainIdentities.PublishedPrdp(),
        new ChainIdentities.InertClipping(),
        new ChainIdentities.RankingOfTwo());
  }

  /**
   * PRDP regresses rewards, so that with a shared x_T it ends at the optimum exactly, whatever the
   * samples. Starts of their own are noise to it.
   */
  private static Proof prdp(String how, double tolerance, Consumer<TrainerSettingsBuilder> change) {
    double code = BETA * GaussianPolicy.STEPS;
    return new RegularisedOptimum(
        "ends at the KL-regularised optimum" + how,
        new Prdp(code, 0.5, Prdp.Time.MEAN),
        GaussianPolicy.SAMPLE,
        settings(
                it -> {
                  it.samplesPerPrompt(16);
                  it.passes(10);
                  it.learningRate(4e-3);
                })
            .with(change),
        50,
        chain().optimum(1, BETA),
        tolerance);
  }

  /** Choices drawn from Bradley and Terry's model, without clipping. */
  static Proof ppod(Span span, int epochs, long seed) {
    return new RegularisedOptimum(
        switch (span) {
          case CHAIN -> "ends at the KL-regularised optimum, from choices";
          case STEP -> "ends where its steps' own logistic regressions do, from choices";
        },
        new Ppod(Link.SIGMOID, span, BETA, Double.POSITIVE_INFINITY),
        CHOICE,
        choices().withSeed(seed),
        epochs,
        switch (span) {
          case CHAIN -> chain().optimum(1, BETA);
          case STEP -> perStep(chain());
        },
        0.04);
  }

  static Proof plackettLuce() {
    return new RegularisedOptimum(
        "ends at the KL-regularised optimum, from rankings",
        new PlackettLuce(BETA),
        CHOICE,
        choices(),
        EPOCHS,
        chain().optimum(1, BETA),
        0.04);
  }

  /**
   * Where PPOD per step ends. Two chains differ by √2 σ_s u_s at step s, with u_s standard normal,
   * and the first is chosen with the log-odds {@code √2 Σ G_s σ_s u_s}. The loss of step t is a
   * logistic regression of that choice on u_t alone, whose slope {@code √2 β m_t / σ_t} solves
   * {@code E[(P(chosen | u) - sigmoid(slope u)) u] = 0}: what the other steps decide counts as
   * noise and makes it smaller than on whole chains.
   */
  static double[] perStep(GaussianChain chain) {
    double[] gains = chain.gains();
    double[] sigmas = chain.sigmas();
    double[] biases = new double[gains.length];
    for (int t = 0; t < biases.length; t++) {
      double own = Math.sqrt(2) * gains[t] * sigmas[t];
      double others = Math.sqrt(Math.max(0, 2 * chain.varianceOfSteps() - own * own));
      DoubleUnaryOperator chosen = u -> expectation(v -> sigmoid(own * u + others * v));
      double covariance = expectation(u -> chosen.applyAsDouble(u) * u);
      double low = 0;
      double high = 2 * own;
      for (int i = 0; i < 60; i++) {
        double slope = (low + high) / 2;
        boolean small = expectation(u -> sigmoid(slope * u) * u) < covariance;
        low = small ? slope : low;
        high = small ? high : slope;
      }
      biases[t] = low * sigmas[t] / (Math.sqrt(2) * BETA);
    }
    return biases;
  }

  /** Over a standard normal variable, by the trapezoidal rule: exact to rounding here. */
  private static double expectation(DoubleUnaryOperator f) {
    int points = 100;
    double end = 9;
    double step = 2 * end / points;
    return IntStream.rangeClosed(0, points)
            .mapToDouble(i -> {
              double u = -end + i * step;
              return f.applyAsDouble(u) * Math.exp(-u * u / 2);
            })
            .sum()
        * step
        / Math.sqrt(2 * Math.PI);
  }

  private static double sigmoid(double x) {
    return 1 / (1 + Math.exp(-x));
  }

  private static TrainerSettings choices() {
    return settings(it -> {
      it.promptsPerEpoch(4);
      it.samplesPerPrompt(32);
      it.learningRate(4e-3);
      it.emaDecay(0.985);
    });
  }

  static TrainerSettings settings(Consumer<TrainerSettingsBuilder> change) {
    return TrainerSettings.defaults()
        .with(it -> {
          it.promptsPerEpoch(1);
          it.sharedStart(true);
          it.samplingBatch(128);
          it.trainingBatch(128);
          it.updatesPerEpoch(1);
          it.optimizer(AdamW.Options.weightDecay(0));
          it.gradientClip(1e9);
        })
        .with(change);
  }

  private static GaussianChain chain() {
    try (var gaussian = new GaussianPolicy(Device.reference())) {
      return gaussian.chain();
    }
  }
}
