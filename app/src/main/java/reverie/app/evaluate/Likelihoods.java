// SPDX-License-Identifier: Apache-2.0
package reverie.app.evaluate;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.DoubleConsumer;
import reverie.app.data.Estimate;
import reverie.app.data.ImageSet;
import reverie.app.data.ImageSize;
import reverie.app.model.LoadedModel;
import reverie.app.text.PromptEncoder;
import reverie.diffusion.Denoiser;
import reverie.diffusion.likelihood.FlowLikelihood;
import reverie.diffusion.likelihood.Trace;
import reverie.diffusion.likelihood.VariationalBound;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * Log-likelihoods of images under a model: of its probability flow, exactly, and of the chain that
 * is sampled and trained, from below. Both of the image with the same uniform noise as wide as a
 * level of its eight bits, so that a density is a bound of the image's probability.
 */
public final class Likelihoods implements AutoCloseable {
  /**
   * How to measure.
   *
   * @param probes of Hutchinson's estimate; 0 for the exact trace
   * @param tolerance of the integrator
   * @param draws of the noise for the bound
   * @param noise whether images get noise as wide as a level
   * @param seed of probes and noise
   */
  public record Options(int probes, double tolerance, int draws, boolean noise, long seed) {}

  /**
   * Log-likelihoods of one image in nats.
   *
   * @param flow exact but for the estimate of the trace; without an interval where that is exact
   *     too
   * @param bound of the chain
   * @param evaluations of the flow's differential equation
   */
  public record Result(Estimate flow, Estimate bound, int evaluations) {}

  private final LoadedModel model;
  private final Device device;
  private final PromptEncoder encoder;
  private final Options options;
  private final Scope scope;
  private final FlowLikelihood flow;
  private final VariationalBound bound;

  /** Prepares; the model stays open as long. */
  public Likelihoods(LoadedModel model, PromptEncoder encoder, Device device, Options options) {
    this.model = model;
    this.encoder = encoder;
    this.device = device;
    this.options = options;
    scope = Scope.open("likelihoods");
    Denoiser denoiser = model.guided(device);
    Trace trace =
        options.probes == 0
            ? new Trace.Exact()
            : new Trace.Hutchinson(options.probes, Rng.of(options.seed).fork("probes"));
    flow = new FlowLikelihood(model.scheduler(), device, denoiser, trace, options.tolerance);
    bound =
        new VariationalBound(model.sampler().policy(), model.scheduler().prediction(), denoiser);
  }

  /**
   * Measures an image.
   *
   * @param images the set that it is of
   * @param item the image
   * @param prompt what it is taken for an image of
   * @param progress gets the share that is done
   * @throws ReverieException if it has not the size of the model's images
   */
  public Result of(ImageSet images, ImageSet.Item item, String prompt, DoubleConsumer progress) {
    ImageSize size = model.sampler().size();
    if (images.height() != size.height() || images.width() != size.width()) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "likelihood: '%s' is %d×%d, but the model's images are %d×%d",
              item.name(),
              images.width(),
              images.height(),
              size.width(),
              size.height()),
          "resize the image, or name the model that draws such images with --model");
    }
    Rng rng = Rng.of(options.seed).fork(item.name());
    Rng levels = rng.fork("levels");
    double[] pixels = new double[item.pixels().length];
    Arrays.setAll(pixels, i -> item.pixels()[i] + (options.noise ? noise(levels, i) : 0));
    try (Scope _ = Scope.open("image")) {
      Tensor drawn =
          model.encode(device.tensor(pixels, 1, size.height(), size.width(), ImageSet.CHANNELS));
      Tensor x = drawn.reshape(drawn.dim(1), drawn.dim(2), drawn.dim(3));
      Tensor context = model.sampler().contexts(device, List.of(prompt));
      // The cheaper first, which refuses a chain without chance.
      double[] bounds = bound.of(x, context, options.draws, rng.fork("bound"));
      FlowLikelihood.Result exact = flow.of(x, context, progress);
      return new Result(estimate(exact.nats()), estimate(bounds), exact.evaluations());
    }
  }

  /** Uniform noise of a value of an image, as wide as one of 256 levels in [−1, 1]. */
  static double noise(Rng levels, int value) {
    return (levels.uniform(value) - 0.5) / 127.5;
  }

  private static Estimate estimate(double... values) {
    double first = Arrays.stream(values).findFirst().orElseThrow();
    return values.length == 1 ? new Estimate(first, first, first, 1) : Estimate.mean(values);
  }

  @Override
  public void close() {
    flow.close();
    scope.close();
  }
}
