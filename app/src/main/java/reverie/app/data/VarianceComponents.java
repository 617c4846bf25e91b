// SPDX-License-Identifier: Apache-2.0
package reverie.app.data;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;
import org.apache.commons.math3.stat.StatUtils;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;

/**
 * What a reward's variance is made of: what chance (x_T and the noise of the steps) does to images
 * of one prompt, and how prompts differ. Analysis of variance with random effects: within is the
 * mean square within prompts, between {@code (mean square between prompts − within)/n}, both
 * unbiased but that between is not let below 0. Intervals are percentiles of 2,000 bootstrap
 * samples of prompts; of images where there is only one prompt.
 *
 * @param within variance of images of one prompt
 * @param between variance of prompts' means beyond that; nothing known of one prompt
 * @param share of the whole variance that lies between prompts
 */
public record VarianceComponents(Estimate within, Estimate between, Estimate share) {
  private static final int RESAMPLES = 2000;

  /**
   * Estimates.
   *
   * @param rewards of n ≥ 2 images of each prompt
   * @param seed of the bootstrap
   */
  public static VarianceComponents of(List<double[]> rewards, long seed) {
    int n = rewards.getFirst().length;
    if (n < 2 || rewards.stream().anyMatch(each -> each.length != n)) {
      throw new ReverieException(
          "variance: expected as many images of each prompt, at least 2, got "
              + rewards.stream().map(each -> each.length).toList());
    }
    int prompts = rewards.size();
    Rng rng = Rng.of(seed).fork("bootstrap");
    Function<Rng, List<double[]>> resample =
        prompts > 1
            ? draw ->
                IntStream.range(0, prompts)
                    .mapToObj(i -> rewards.get(draw.below(i, prompts)))
                    .toList()
            : draw ->
                List.of(
                    IntStream.range(0, n)
                        .mapToDouble(i -> rewards.getFirst()[draw.below(i, n)])
                        .toArray());
    List<List<double[]>> samples =
        IntStream.range(0, RESAMPLES).mapToObj(i -> resample.apply(rng.fork(i))).toList();
    return new VarianceComponents(
        estimate(rewards, samples, VarianceComponents::within, prompts * n),
        estimate(rewards, samples, VarianceComponents::between, prompts),
        estimate(rewards, samples, VarianceComponents::share, prompts));
  }

  private static Estimate estimate(
      List<double[]> rewards,
      List<List<double[]>> samples,
      ToDoubleFunction<List<double[]>> measure,
      int n) {
    double[] values = samples.stream().mapToDouble(measure).toArray();
    boolean known = Arrays.stream(values).allMatch(Double::isFinite);
    return new Estimate(
        measure.applyAsDouble(rewards),
        known ? StatUtils.percentile(values, 2.5) : Double.NaN,
        known ? StatUtils.percentile(values, 97.5) : Double.NaN,
        n);
  }

  /**
   * The mean of the variances of each prompt's rewards.
   *
   * @param rewards of two or more images of each prompt
   */
  public static double within(List<double[]> rewards) {
    return rewards.stream().mapToDouble(StatUtils::variance).average().orElseThrow();
  }

  private static double between(List<double[]> rewards) {
    if (rewards.size() < 2) {
      return Double.NaN;
    }
    double ofMeans = StatUtils.variance(rewards.stream().mapToDouble(StatUtils::mean).toArray());
    return Math.max(0, ofMeans - within(rewards) / rewards.getFirst().length);
  }

  private static double share(List<double[]> rewards) {
    double between = between(rewards);
    double whole = between + within(rewards);
    return whole == 0 ? 0 : between / whole;
  }

  /** The form in which it is written. */
  public Map<String, Object> toMap() {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("within_prompts", within.toMap());
    map.put("between_prompts", between.toMap());
    map.put("share_between", share.toMap());
    return map;
  }
}
