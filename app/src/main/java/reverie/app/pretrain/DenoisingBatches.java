// SPDX-License-Identifier: Apache-2.0
package reverie.app.pretrain;

import java.util.ArrayList;
import java.util.List;
import java.util.function.IntFunction;
import java.util.function.IntUnaryOperator;
import java.util.stream.IntStream;
import reverie.app.data.ImageSet;
import reverie.app.model.ModelFolder;
import reverie.app.text.PromptEncoder;
import reverie.app.text.PromptStates;
import reverie.app.text.RecentStates;
import reverie.diffusion.DenoisingLoss;
import reverie.diffusion.NoiseSchedule;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * What a denoiser is shown at each step. A batch depends on the seed and the step's number only, so
 * that a resumed run sees what an uninterrupted one would have seen. Images come in a new order
 * every epoch, each once; timesteps are spread evenly over a batch, which makes its loss less noisy
 * than independent ones.
 */
final class DenoisingBatches {
  private final Samples samples;
  private final RecentStates states;
  private final PromptEncoder encoder;
  private final int size;
  private final double promptDropout;
  private final Rng rng;

  /**
   * What is to be drawn: images, or their latents.
   *
   * @param values of each sample {@code [height, width, channels]}
   * @param prompts one for each
   */
  record Samples(
      int height, int width, int channels, IntFunction<float[]> values, List<String> prompts) {
    /** Images themselves. */
    static Samples of(ImageSet images) {
      return new Samples(
          images.height(),
          images.width(),
          ImageSet.CHANNELS,
          i -> images.items().get(i).pixels(),
          images.prompts());
    }

    /** What a model would have drawn for images, one after the other. */
    static Samples of(ImageSet images, ModelFolder model, Device device) {
      if (model.drawsColours()) {
        return of(images);
      }
      List<float[]> values = new ArrayList<>();
      for (ImageSet.Item item : images.items()) {
        try (Scope _ = Scope.open("latents")) {
          values.add(
              model
                  .encode(
                      device.tensor(
                          item.pixels(), 1, images.height(), images.width(), ImageSet.CHANNELS))
                  .toFloats());
        }
      }
      return new Samples(
          images.height() / model.reduction(),
          images.width() / model.reduction(),
          model.unet().config().inChannels(),
          values::get,
          images.prompts());
    }

    private Tensor batch(Device device, int... rows) {
      int each = height * width * channels;
      float[] batch = new float[rows.length * each];
      for (int i = 0; i < rows.length; i++) {
        System.arraycopy(values.apply(rows[i]), 0, batch, i * each, each);
      }
      return device.tensor(batch, rows.length, height, width, channels);
    }
  }

  DenoisingBatches(
      Samples samples, PromptEncoder encoder, int size, double promptDropout, Rng rng) {
    this.samples = samples;
    this.encoder = encoder;
    this.size = size;
    this.promptDropout = promptDropout;
    this.rng = rng;
    states = new RecentStates(encoder::encode);
  }

  /**
   * One batch.
   *
   * @param clean {@code [n, h, w, channels]}
   * @param context {@code [n, tokens, dimensions]}
   * @param draw a timestep and noise for each image
   */
  record Batch(Tensor clean, Tensor context, DenoisingLoss.NoiseDraw draw) {}

  /** The batch of a step, in the open scope. */
  Batch at(long step, NoiseSchedule schedule, Device device) {
    int[] rows = rows(step);
    Tensor clean = samples.batch(device, rows);
    Rng own = rng.fork("step").fork(step);
    Rng dropout = own.fork("dropout");
    List<float[]> chosen =
        IntStream.range(0, size)
            .mapToObj(i -> dropout.uniform(i) < promptDropout ? "" : samples.prompts.get(rows[i]))
            .map(states::of)
            .toList();
    Rng time = own.fork("timestep");
    double[] timesteps =
        IntStream.range(0, size)
            .mapToDouble(i -> schedule.timestepAt((i + time.uniform(i)) / size))
            .toArray();
    Tensor noise = own.fork("noise").normal(device, clean.shape().dims());
    return new Batch(
        clean,
        PromptStates.stack(device, encoder, chosen),
        new DenoisingLoss.NoiseDraw(timesteps, noise));
  }

  /** Which images a step sees: place after place in one shuffled epoch after another. */
  int[] rows(long step) {
    Rng order = rng.fork("order");
    int[] rows = new int[size];
    long shuffledEpoch = -1;
    IntUnaryOperator shuffled = null;
    int images = samples.prompts.size();
    for (int i = 0; i < size; i++) {
      long place = step * size + i;
      long epoch = place / images;
      if (epoch != shuffledEpoch) {
        shuffled = order.fork(epoch).order(images);
        shuffledEpoch = epoch;
      }
      rows[i] = shuffled.applyAsInt((int) (place % images));
    }
    return rows;
  }
}
