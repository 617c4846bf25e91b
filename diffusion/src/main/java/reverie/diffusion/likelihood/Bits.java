// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion.likelihood;

/** The unit in which likelihoods of images are compared. */
public final class Bits {
  /** log2 of how many levels of eight bits fit into a unit of [−1, 1]. */
  private static final double LEVELS = Math.log(127.5) / Math.log(2);

  private Bits() {}

  /**
   * Bits that an element of an image of 256 levels in [−1, 1] costs, from the log-density of the
   * image with noise as wide as a level: an upper bound for the image itself (Theis et al. 2016,
   * §3.1).
   *
   * @param nats log-density of the whole image
   * @param elements height × width × channels
   */
  public static double perElement(double nats, long elements) {
    return -nats / (elements * Math.log(2)) + LEVELS;
  }
}
