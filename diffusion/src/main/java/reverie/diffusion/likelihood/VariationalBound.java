// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion.likelihood;

import java.util.Arrays;
import java.util.Locale;
import java.util.concurrent.CancellationException;
import java.util.stream.IntStream;
import reverie.diffusion.Denoiser;
import reverie.diffusion.DenoisingLoss;
import reverie.diffusion.LogProbReduction;
import reverie.diffusion.NoiseSchedule;
import reverie.diffusion.Prediction;
import reverie.diffusion.ReversePolicy;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * A lower bound (ELBO) of the log-likelihood of the very chain that is sampled and trained (Ho et
 * al. 2020, eq. 5; for any η Song et al. 2021, theorem 1):
 *
 * <pre>{@code
 * −KL(q(x_T|x_0) ‖ N(0, I)) − Σ E‖mean_q − mean_θ‖²/(2σ²) + E log N(x_0; mean_θ(x_1), s²)
 * }</pre>
 *
 * where T, …, 1 are the steps of the chain and both means are those of {@link ReversePolicy#step}:
 * mean_q with the noise that was added, mean_θ with what the model says. s is σ of the last step; a
 * chain whose last step leaves nothing to chance gives every other image the density 0, so that s
 * is then the deviation {@code √(1−ᾱ)/√ᾱ} of the noise at the last timestep.
 *
 * <p>It bounds the likelihood of the chain, not that of the {@linkplain FlowLikelihood flow}: of a
 * model that is not exact, the two are different distributions with different likelihoods.
 *
 * @param policy the chain
 * @param prediction what the model predicts
 * @param denoiser the model, guidance included
 */
public record VariationalBound(ReversePolicy policy, Prediction prediction, Denoiser denoiser) {
  /**
   * Bounds of an image's log-likelihood, in nats: one for each draw of the noise, whose mean is the
   * estimate.
   *
   * @param original one sample, without a batch axis
   * @param context {@code [1, tokens, dim]}, or null for a model without conditions
   * @param draws of the noise at every step, in one pass through the model
   * @param rng of the noise
   * @throws ReverieException if a step before the last has σ = 0, for there is no bound then
   * @throws CancellationException if the thread is interrupted
   */
  public double[] of(Tensor original, Tensor context, int draws, Rng rng) {
    requireChance();
    double[] bounds = new double[draws];
    Arrays.fill(bounds, -startDivergence(original.toDoubles()));
    for (int step = 0; step < policy.steps(); step++) {
      if (Thread.currentThread().isInterrupted()) {
        throw new CancellationException("the bound was interrupted");
      }
      double[] terms = terms(original, context, step, draws, rng.fork(step));
      for (int i = 0; i < draws; i++) {
        bounds[i] += terms[i];
      }
    }
    for (double bound : bounds) {
      if (!Double.isFinite(bound)) {
        throw new ReverieException(
            "likelihood: the bound is " + bound,
            "the model's weights are damaged or its training diverged; use another model");
      }
    }
    return bounds;
  }

  private double[] terms(Tensor original, Tensor context, int step, int draws, Rng rng) {
    int last = policy.steps() - 1;
    try (Scope _ = Scope.open("bound")) {
      Tensor clean = repeated(original.reshape(withBatch(original, 1)), draws);
      Rng[] rows = IntStream.range(0, draws).mapToObj(rng::fork).toArray(Rng[]::new);
      double[] timesteps = new double[draws];
      Arrays.fill(timesteps, policy.timestep(step));
      var draw =
          new DenoisingLoss.NoiseDraw(
              timesteps, Rng.normalRows(original.device(), rows, original.shape().dims()));
      DenoisingLoss.NoisedBatch noised =
          new DenoisingLoss(policy.schedule(), prediction, Double.POSITIVE_INFINITY)
              .noised(clean, draw);
      Tensor output =
          denoiser.predict(
              noised.x(), noised.timesteps(), context == null ? null : repeated(context, draws));
      ReversePolicy.Step model = policy.step(noised.x(), output, step);
      if (step < last) {
        ReversePolicy.Step truth = policy.step(noised.x(), noised.target(), step);
        return policy.reducedBy(LogProbReduction.SUM).divergence(model, truth).neg().toDoubles();
      }
      double deviation = policy.isDecision(last) ? policy.sigma(last) : decoderDeviation();
      return Ops.gaussianLogProb(clean, model.mean(), clean.device().full(deviation, draws))
          .mul(original.size())
          .toDoubles();
    }
  }

  /** s where the last step leaves nothing to chance. */
  public double decoderDeviation() {
    int last = (int) policy.timestep(policy.steps() - 1);
    return Math.exp(-0.5 * Math.log(policy.schedule().signalToNoise(last)));
  }

  /** KL(q(x_T|x_0) ‖ N(0, I)). */
  private double startDivergence(double... x) {
    NoiseSchedule schedule = policy.schedule();
    int t = (int) policy.timestep(0);
    double signal = schedule.alphaBar(t);
    double sum = -x.length * (signal + Math.log(schedule.noiseVariance(t)));
    for (double v : x) {
      sum += signal * v * v;
    }
    return sum / 2;
  }

  private void requireChance() {
    if (policy.schedule().isFlow()) {
      throw new ReverieException(
          "likelihood: expected a diffusion, got a flow, whose chains have no bound here",
          "ask for the likelihood by the flow itself, FlowLikelihood");
    }
    for (int step = 0; step < policy.steps() - 1; step++) {
      if (!policy.isDecision(step)) {
        throw new ReverieException(
            String.format(
                Locale.ROOT,
                "likelihood: step %d of %d has sigma 0 at eta %s, so the chain has no bound",
                step,
                policy.steps(),
                policy.eta()),
            "set eta above 0, 1 for instance");
      }
    }
  }

  private static int[] withBatch(Tensor original, int n) {
    return IntStream.concat(IntStream.of(n), Arrays.stream(original.shape().dims())).toArray();
  }

  private static Tensor repeated(Tensor one, int n) {
    int[] dims = one.shape().dims();
    dims[0] = n;
    return one.expand(dims).contiguous();
  }
}
