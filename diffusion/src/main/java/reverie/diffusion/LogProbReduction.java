// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import reverie.tensor.Tensor;

/** How the log-densities of a sample's elements become one number. */
public enum LogProbReduction {
  /**
   * Their mean: the trust regions of the literature are made for it. A ratio of it is the D-th root
   * of the ratio of likelihoods, D being the number of elements of a sample.
   */
  MEAN,
  /** Their sum: the true log-likelihood, D times the mean. */
  SUM;

  /**
   * @param means {@code [n]} over the elements of each sample
   * @param samples {@code [n, …]}
   */
  Tensor ofMeans(Tensor means, Tensor samples) {
    return switch (this) {
      case MEAN -> means;
      case SUM -> means.mul((double) samples.size() / samples.dim(0));
    };
  }
}
