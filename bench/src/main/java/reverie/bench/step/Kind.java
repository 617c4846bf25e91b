// SPDX-License-Identifier: Apache-2.0
package reverie.bench.step;

import java.util.Locale;

/** The measured steps. */
public enum Kind {
  /** A guided DDIM step without gradients. */
  SAMPLING,
  /** A micro-step of DDPO_IS: gradients through both branches of guidance, clipping, AdamW. */
  DDPO,
  /** A step of pretraining: denoising loss, gradients, clipping, AdamW. */
  PRETRAINING,
  /** Like DDPO, of adapters on the attention layers of a frozen model. */
  LORA,
  /** Latents into images. */
  DECODING;

  /** The name in tables, and of the method in the script. */
  public String title() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** Whether the step changes the parameters. */
  public boolean trains() {
    return this != SAMPLING && this != DECODING;
  }
}
