// SPDX-License-Identifier: Apache-2.0
package reverie.app.model;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.IntConsumer;
import reverie.app.config.ConfigurationException;
import reverie.app.config.FinetuneConfig;
import reverie.app.data.DataSet;
import reverie.app.data.ImageSize;
import reverie.app.text.PromptEncoder;
import reverie.app.text.PromptStates;
import reverie.autograd.Tape;
import reverie.diffusion.Denoiser;
import reverie.diffusion.Guidance;
import reverie.diffusion.ReversePolicy;
import reverie.diffusion.Sampler;
import reverie.rl.ImageDecoder;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * Draws images for prompts, batch by batch. Which image comes out depends on the seed, the prompt's
 * text and how many images of that prompt came before, not on batches or on other prompts, so that
 * two models asked with the same seed can be compared image by image.
 *
 * @param policy the reverse process
 * @param encoder for the prompts; null for a model that takes none
 * @param guidance scale of classifier-free guidance; 1 is off
 * @param batchSize images in one pass
 * @param size of an image
 * @param drawn the size of what the model draws
 * @param channels of what the model draws
 * @param decoder of what it draws
 */
public record ImageSampler(
    ReversePolicy policy,
    PromptEncoder encoder,
    double guidance,
    int batchSize,
    ImageSize size,
    ImageSize drawn,
    int channels,
    ImageDecoder decoder) {

  /** Largest side whose pixels an array still holds. */
  private static final int MAX_SIDE = 8192;

  /** The longest array that every Java machine makes. */
  private static final int MAX_NUMBERS = Integer.MAX_VALUE - 8;

  private static final double HEAP_SHARE = 0.6;

  /**
   * Of a model that draws images.
   *
   * @param channels 1 or 3; grey images come out as coloured ones
   */
  public ImageSampler(
      ReversePolicy policy,
      PromptEncoder encoder,
      double guidance,
      int batchSize,
      ImageSize size,
      int channels) {
    this(
        policy,
        encoder,
        guidance,
        batchSize,
        size,
        size,
        channels,
        images -> channels == 3 ? images : Ops.concat(3, images, images, images));
  }

  /** How a model in this folder draws. */
  public static ImageSampler of(
      ModelFolder model, FinetuneConfig.Sampling sampling, PromptEncoder encoder) {
    if (!model.takesText() && sampling.guidance() != 1) {
      throw new ConfigurationException(
          "guidance is "
              + sampling.guidance()
              + ", but the model takes no prompts"
              + (model.isConditional() ? " in words" : ""),
          "leave guidance at 1");
    }
    ReversePolicy process = sampling.process(model.scheduler());
    ImageSize drawn = drawn(model, sampling.size());
    int multiple = model.unet().config().sideMultiple();
    if (!drawn.isMultipleOf(multiple) || Math.max(drawn.width(), drawn.height()) > MAX_SIDE) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "sampling: the sides of what this model draws are multiples of %d up to %d, but %s is"
                  + " asked for",
              multiple,
              MAX_SIDE,
              drawn),
          "correct sample_size in unet/config.json, or name a size: --size SIZE,"
              + " --set sampling.size=SIZE");
    }
    int channels = model.unet().config().inChannels();
    PromptEncoder prompts = model.isConditional() ? encoder : null;
    double guidance = sampling.guidance();
    int batch = sampling.batchSize();
    return model.pipeline() == null
        ? new ImageSampler(process, prompts, guidance, batch, drawn, channels)
        : new ImageSampler(
            process,
            prompts,
            guidance,
            batch,
            drawn.times(model.reduction()),
            drawn,
            channels,
            model::decode);
  }

  /** The size of what a model draws for images of this size. */
  private static ImageSize drawn(ModelFolder model, ImageSize size) {
    if (size.isOwn()) {
      return BaseModels.size(model);
    }
    DataSet data = model.prompts().data();
    if (data != null && !size.equals(BaseModels.size(model))) {
      throw new ConfigurationException(
          "sampling: the size is " + size + ", but " + data + " have " + BaseModels.size(model),
          "leave it at 0");
    }
    int reduction = model.reduction();
    if (!size.isMultipleOf(reduction)) {
      throw new ConfigurationException(
          "sampling: expected a size that is a multiple of "
              + reduction
              + ", the pixels of a latent, got "
              + size,
          "for example "
              + new ImageSize(nearest(size.width(), reduction), nearest(size.height(), reduction)));
    }
    return size.dividedBy(reduction);
  }

  /** The multiple, at least one, that is nearest to a side. */
  static int nearest(int side, int multiple) {
    return Math.max(1, Math.round((float) side / multiple)) * multiple;
  }

  /**
   * What the model is conditioned on, in the open scope; null for a model that takes no prompts.
   */
  public Tensor contexts(Device device, List<String> prompts) {
    return encoder == null ? null : PromptStates.of(device, encoder, prompts);
  }

  /** Images with three channels, {@code [n, h, w, 3]}, from what the model draws. */
  public Tensor colours(Tensor samples) {
    return decoder.decode(samples);
  }

  /**
   * Fails if Java's heap has no room for so many images, before any of them is drawn: their numbers
   * are kept until all are scored.
   */
  public void requireRoom(int images) {
    long numbers = 3L * size.width() * size.height() * images;
    double heap = Runtime.getRuntime().maxMemory();
    if (numbers > MAX_NUMBERS || Float.BYTES * (double) numbers > HEAP_SHARE * heap) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "images: %d images of %s take %.1f GB of Java's heap, which has %.1f",
              images,
              size,
              Float.BYTES * (double) numbers / 1e9,
              heap / 1e9),
          "draw fewer at once, or give Java more: REVERIE_JAVA_OPTS=-Xmx8g ./reverie …");
    }
  }

  /**
   * Draws one image for each prompt.
   *
   * @param denoiser the model
   * @param device where it computes
   * @param prompts n prompts, repeats allowed
   * @param seed of all images
   * @param progress gets after each batch how many images are done
   * @return {@code [n, h, w, 3]}, about −1 to 1
   */
  public float[] draw(
      Denoiser denoiser, Device device, List<String> prompts, long seed, IntConsumer progress) {
    requireRoom(prompts.size());
    Rng[] rows = rows(prompts, seed);
    int each = size.width() * size.height() * 3;
    float[] all = new float[each * prompts.size()];
    for (int from = 0; from < prompts.size(); from += batchSize) {
      int to = Math.min(from + batchSize, prompts.size());
      int first = from;
      float[] drawn =
          Tape.noGradient(() ->
              batch(
                  denoiser,
                  device,
                  prompts.subList(first, to),
                  Arrays.copyOfRange(rows, first, to)));
      requireFinite(drawn, from, each, prompts);
      System.arraycopy(drawn, 0, all, from * each, drawn.length);
      progress.accept(to);
    }
    return all;
  }

  private float[] batch(Denoiser denoiser, Device device, List<String> prompts, Rng... rows) {
    try (Scope _ = Scope.open("images")) {
      return colours(
              new Sampler(policy, device)
                  .sample(
                      guided(denoiser, device),
                      contexts(device, prompts),
                      rows,
                      drawn.height(),
                      drawn.width(),
                      channels))
          .toFloats();
    }
  }

  /** The model with guidance, whose empty prompt belongs to the open scope. */
  Denoiser guided(Denoiser denoiser, Device device) {
    return new Guidance(
        Denoiser.branching(denoiser),
        guidance,
        guidance == 1 ? null : contexts(device, List.of("")));
  }

  private static void requireFinite(float[] drawn, int first, int each, List<String> prompts) {
    for (int i = 0; i < drawn.length; i++) {
      if (!Float.isFinite(drawn[i])) {
        int image = first + i / each;
        throw new ReverieException(
            String.format(
                Locale.ROOT,
                "images: image %d of %d (prompt \"%s\") has the pixel value %s",
                image + 1,
                prompts.size(),
                prompts.get(image),
                drawn[i]),
            "the model's weights are damaged or its training diverged; use another model");
      }
    }
  }

  /** Where the chance of each image begins: at its prompt and how many of this came before. */
  public static Rng[] rows(List<String> prompts, long seed) {
    Rng[] rows = new Rng[prompts.size()];
    Map<String, Long> before = new HashMap<>();
    for (int i = 0; i < rows.length; i++) {
      long repeat = before.merge(prompts.get(i), 1L, Long::sum) - 1;
      rows[i] = Rng.of(seed).fork(prompts.get(i)).fork(repeat);
    }
    return rows;
  }
}
