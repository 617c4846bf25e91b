// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

import java.util.Locale;

/**
 * To what the factors of matrix products, convolutions and attention are rounded; in bfloat16 mode
 * what linear layers, convolutions and attention give is rounded too. Sums and everything else are
 * float32, and weights are never rounded where they are kept.
 */
public enum Precision {
  /** Not at all: 24 bits. */
  FLOAT32,
  /** 11 bits, by the tensor cores. */
  TF32,
  /** 8 bits, by the tensor cores, at half the traffic. */
  BF16;

  /** The next more exact one; null if there is none. */
  public Precision wider() {
    return this == FLOAT32 ? null : values()[ordinal() - 1];
  }

  /** As the property {@code reverie.precision} names it. */
  public String label() {
    return name().toLowerCase(Locale.ROOT);
  }
}
