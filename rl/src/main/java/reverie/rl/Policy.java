// SPDX-License-Identifier: Apache-2.0
package reverie.rl;

import reverie.autograd.nn.Parameters;
import reverie.diffusion.Denoiser;
import reverie.diffusion.Prediction;
import reverie.diffusion.ReversePolicy;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;

/**
 * A diffusion model as the trainer sees it. Nothing here is copied or closed by the trainer.
 *
 * @param process how the model's output becomes a step of the reverse chain
 * @param prediction what the model's output is, for objectives that denoise
 * @param denoiser the model, guidance included: the same object samples and is trained
 * @param reference the base model, guidance included, that stays as it is: a frozen copy, or the
 *     same model with LoRA switched off; null if the distance to it is of no interest
 * @param parameters of the model (or of its LoRA): those that are trainable are trained
 * @param encoder what makes contexts of prompts
 * @param decoder what makes images for the reward of finished samples
 * @param height of a sample
 * @param width of a sample
 * @param channels of a sample
 */
public record Policy(
    ReversePolicy process,
    Prediction prediction,
    Denoiser denoiser,
    Denoiser reference,
    Parameters parameters,
    ContextEncoder encoder,
    ImageDecoder decoder,
    int height,
    int width,
    int channels) {

  /** Checks that there is something to train. */
  public Policy {
    if (parameters.trainable().isEmpty()) {
      throw new ReverieException(
          "policy: none of the model's " + parameters.all().size() + " parameters is trainable",
          "unfreeze the model or put a Lora on it and pass its parameters");
    }
  }

  /** A model that draws images. */
  public Policy(
      ReversePolicy process,
      Prediction prediction,
      Denoiser denoiser,
      Denoiser reference,
      Parameters parameters,
      ContextEncoder encoder,
      int height,
      int width,
      int channels) {
    this(
        process,
        prediction,
        denoiser,
        reference,
        parameters,
        encoder,
        ImageDecoder.NONE,
        height,
        width,
        channels);
  }

  /** A model without conditions that predicts the noise, and no reference beside it. */
  public Policy(
      ReversePolicy process,
      Denoiser denoiser,
      Parameters parameters,
      int height,
      int width,
      int channels) {
    this(
        process,
        Prediction.EPSILON,
        denoiser,
        null,
        parameters,
        ContextEncoder.NONE,
        height,
        width,
        channels);
  }

  /** The same model along another chain. */
  public Policy along(ReversePolicy other) {
    return new Policy(
        other,
        prediction,
        denoiser,
        reference,
        parameters,
        encoder,
        decoder,
        height,
        width,
        channels);
  }

  /**
   * Checks that there is a model to compare with.
   *
   * @param message of the error if not
   */
  public void requireReference(String message) {
    if (reference == null) {
      throw new ReverieException(
          message, "give the policy a frozen copy of the model, or its LoRA switched off");
    }
  }

  /** Where the model lives. */
  public Device device() {
    return parameters.device();
  }
}
