// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import java.util.Arrays;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Tensor;

/**
 * The loss of pretraining (Ho et al. 2020, eq. 14): noise a clean sample to a random timestep and
 * ask the model what was done to it, {@code ‖target − out‖²} averaged over the elements. The target
 * is what the prediction stands for.
 *
 * @param schedule the forward process
 * @param prediction what the model predicts
 * @param snrCap γ of min-SNR weighting (Hang et al. 2023), 5 in the paper; infinite for the plain
 *     loss
 */
public record DenoisingLoss(NoiseSchedule schedule, Prediction prediction, double snrCap) {
  /** Checks the cap. */
  public DenoisingLoss {
    if (!(snrCap > 0)) {
      throw new ReverieException(
          "denoising loss: expected a positive cap of the signal-to-noise ratio, got " + snrCap);
    }
  }

  /** The plain loss of a model with this configuration. */
  public static DenoisingLoss of(SchedulerConfig config) {
    return new DenoisingLoss(config.schedule(), config.prediction(), Double.POSITIVE_INFINITY);
  }

  /**
   * The timestep and noise of each sample, from its own random numbers.
   *
   * @param timesteps uniform whole numbers from 0 to T − 1; of a flow {@code σ·T}
   * @param noise like the samples
   */
  public record NoiseDraw(double[] timesteps, Tensor noise) {}

  /**
   * Draws a timestep and noise for every sample.
   *
   * @param original {@code [n, …]}
   * @param rows one sequence for each sample: the same numbers for it in any batch
   */
  public NoiseDraw draw(Tensor original, Rng... rows) {
    double[] t = Arrays.stream(rows).mapToDouble(schedule::draw).toArray();
    Rng[] noises = Arrays.stream(rows).map(row -> row.fork(1)).toArray(Rng[]::new);
    int[] dims = original.shape().dims();
    return new NoiseDraw(
        t, Rng.normalRows(original.device(), noises, Arrays.copyOfRange(dims, 1, dims.length)));
  }

  /**
   * Noised samples and what a model should say of them.
   *
   * @param x noised samples {@code [n, …]}
   * @param timesteps {@code [n]}
   * @param target like x
   * @param weights {@code [n]} of the samples' losses, or null for the plain loss
   */
  public record NoisedBatch(Tensor x, Tensor timesteps, Tensor target, Tensor weights) {
    /** The same with these weights {@code [n]}, times those that it had. */
    public NoisedBatch weighted(Tensor others) {
      return new NoisedBatch(x, timesteps, target, weights == null ? others : weights.mul(others));
    }

    /** The loss of each sample's answer: {@code [n]}. */
    public Tensor perSample(Denoiser denoiser, Tensor context) {
      int n = x.dim(0);
      Tensor errors = denoiser.predict(x, timesteps, context).sub(target).square();
      Tensor losses = errors.reshape(n, Math.toIntExact(errors.size() / n)).mean(1);
      return weights == null ? losses : losses.mul(weights);
    }
  }

  /**
   * Noises samples.
   *
   * @param original clean samples {@code [n, …]}
   */
  public NoisedBatch noised(Tensor original, NoiseDraw draw) {
    double[] t = draw.timesteps();
    return new NoisedBatch(
        schedule.addNoise(original, draw.noise(), t),
        original.device().tensor(t, t.length),
        target(original, draw),
        Double.isInfinite(snrCap)
            ? null
            : original.device().tensor(Arrays.stream(t).map(this::weight).toArray(), t.length));
  }

  /**
   * The loss of each sample: {@code [n]}.
   *
   * @param original clean samples {@code [n, …]}
   * @param context {@code [n, tokens, dim]} or null
   */
  public Tensor perSample(Denoiser denoiser, Tensor original, Tensor context, NoiseDraw draw) {
    return noised(original, draw).perSample(denoiser, context);
  }

  private Tensor target(Tensor original, NoiseDraw draw) {
    double[] t = draw.timesteps();
    return switch (prediction) {
      case EPSILON -> draw.noise();
      case SAMPLE -> original;
      case V_PREDICTION ->
          Rows.times(draw.noise(), t, schedule::signal)
              .sub(Rows.times(original, t, schedule::noise));
      case FLOW -> draw.noise().sub(original);
    };
  }

  private double weight(double t) {
    double ratio = schedule.signal(t) / schedule.noise(t);
    double snr = ratio * ratio;
    double capped = Math.min(snr, snrCap);
    return switch (prediction) {
      case EPSILON -> snr <= snrCap ? 1 : snrCap / snr;
      case V_PREDICTION -> capped / (snr + 1);
      case SAMPLE -> capped;
      case FLOW ->
          throw new ReverieException(
              "denoising loss: min-SNR weights are made for a diffusion, not for a flow",
              "choose the density of sigma instead: NoiseSchedule.logitNormalFlow");
    };
  }
}
