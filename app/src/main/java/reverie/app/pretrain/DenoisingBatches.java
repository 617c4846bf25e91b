// SPDX-License-Identifier: Apache-2.0
package reverie.app.pretrain;

import java.util.List;
import java.util.stream.IntStream;
import reverie.app.data.ImageSet;
import reverie.app.text.PromptEncoder;
import reverie.app.text.PromptStates;
import reverie.diffusion.DenoisingLoss;
import reverie.diffusion.NoiseSchedule;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Tensor;

/**
 * What a denoiser is shown at each step. A batch depends on the seed and the step's number only, so
 * that a resumed run sees what an uninterrupted one would have seen. ImageSampler come in a new
 * order every epoch, each once; timesteps are spread evenly over a batch, which makes its loss less
 * noisy than independent ones.
 */
final class DenoisingBatches {
  private final ImageSet images;
  private final float[][] states;
  private final float[] unconditional;
  private final PromptEncoder encoder;
  private final int size;
  private final double promptDropout;
  private final Rng rng;

  /** Encodes every prompt. */
  DenoisingBatches(
      ImageSet images, PromptEncoder encoder, int size, double promptDropout, Rng rng) {
    this.images = images;
    this.encoder = encoder;
    this.size = size;
    this.promptDropout = promptDropout;
    this.rng = rng;
    states = images.prompts().stream().map(encoder::encode).toArray(float[][]::new);
    unconditional = encoder.encode("");
  }

  /**
   * One batch.
   *
   * @param images {@code [n, h, w, 3]}
   * @param context {@code [n, tokens, dimensions]}
   * @param draw a timestep and noise for each picture
   */
  record Batch(Tensor images, Tensor context, DenoisingLoss.Draw draw) {}

  /** The batch of a step, in the open scope. */
  Batch at(long step, NoiseSchedule schedule, Device device) {
    int[] rows = rows(step);
    Tensor pictures =
        device.tensor(images.batch(rows), size, images.height(), images.width(), ImageSet.CHANNELS);
    Rng own = rng.fork("step").fork(step);
    Rng dropout = own.fork("dropout");
    List<float[]> chosen =
        IntStream.range(0, size)
            .mapToObj(i -> dropout.uniform(i) < promptDropout ? unconditional : states[rows[i]])
            .toList();
    Rng time = own.fork("timestep");
    double[] timesteps =
        IntStream.range(0, size)
            .mapToDouble(i -> schedule.timestepAt((i + time.uniform(i)) / size))
            .toArray();
    Tensor noise = own.fork("noise").normal(device, pictures.shape().dims());
    return new Batch(
        pictures,
        PromptStates.stack(device, encoder, chosen),
        new DenoisingLoss.Draw(timesteps, noise));
  }

  /** Which pictures a step sees: place after place in one shuffled epoch after another. */
  int[] rows(long step) {
    Rng order = rng.fork("order");
    int[] rows = new int[size];
    long shuffledEpoch = -1;
    int[] shuffled = {};
    for (int i = 0; i < size; i++) {
      long place = step * size + i;
      long epoch = place / images.size();
      if (epoch != shuffledEpoch) {
        shuffled = order.fork(epoch).permutation(images.size());
        shuffledEpoch = epoch;
      }
      rows[i] = shuffled[(int) (place % images.size())];
    }
    return rows;
  }
}
