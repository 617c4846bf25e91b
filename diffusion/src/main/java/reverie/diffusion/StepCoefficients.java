// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import reverie.tensor.ReverieException;

/**
 * One reverse step in numbers, worked out once in double precision:
 *
 * <pre>{@code
 * x̂0   = original·x_t + originalOutput·out            (clipped where the scheduler says so)
 * mean = clean·x̂0 + direct·x_t + directOutput·out
 * }</pre>
 *
 * <p>Every prediction and both rules are linear in x_t and the model's output but for the clipping,
 * so that they differ only here. Without clipping both lines fold into {@code mean = x·x_t +
 * output·out}, where the division by √ᾱ_t has cancelled.
 */
record StepCoefficients(
    double sigma,
    double original,
    double originalOutput,
    double clean,
    double direct,
    double directOutput) {

  /** Which of the two equal definitions of the step is followed once x̂0 is clipped. */
  enum Rule {
    /** ε̂ stays what the model said (diffusers' DDIMScheduler). */
    DDIM,
    /**
     * ε̂ follows the clipped x̂0, as in the posterior of Ho et al. 2020, eq. 7 (diffusers'
     * DDPMScheduler).
     */
    DDPM
  }

  /**
   * The step from timestep t to t' (Song et al. 2021, eq. 12 and 16).
   *
   * @param t where the step begins
   * @param next t', or {@link TimestepGrid#END}
   * @param endsClean whether ᾱ at the end is 1; else ᾱ_0
   */
  static StepCoefficients of(
      NoiseSchedule schedule,
      Prediction prediction,
      Rule rule,
      int t,
      int next,
      boolean endsClean,
      double eta) {
    boolean clean = next == TimestepGrid.END && endsClean;
    double a = schedule.alphaBar(t);
    double b = schedule.noiseVariance(t);
    double aNext = clean ? 1 : schedule.alphaBar(Math.max(next, 0));
    double bNext = clean ? 0 : schedule.noiseVariance(Math.max(next, 0));
    double variance =
        schedule.round(schedule.round(bNext / b) * schedule.round(1 - schedule.round(a / aNext)));
    double sigma = schedule.round(schedule.round(eta) * schedule.round(Math.sqrt(variance)));
    double rest = schedule.round(bNext - schedule.round(sigma * sigma));
    // More than the rounding of float32, in which the schedule may be.
    if (rest < -1e-6) {
      throw new ReverieException(
          "reverse policy: eta "
              + eta
              + " asks for more noise at timestep "
              + t
              + " than there is at the next",
          "use an eta between 0 and 1");
    }
    double direction = schedule.round(Math.sqrt(Math.max(rest, 0)));

    double signal = Math.sqrt(a);
    double noise = Math.sqrt(b);
    double original =
        switch (prediction) {
          case EPSILON -> 1 / signal;
          case V_PREDICTION -> signal;
          case SAMPLE -> 0;
        };
    double originalOutput =
        switch (prediction) {
          case EPSILON -> -noise / signal;
          case V_PREDICTION -> -noise;
          case SAMPLE -> 1;
        };
    return switch (rule) {
      case DDIM ->
          new StepCoefficients(
              sigma,
              original,
              originalOutput,
              Math.sqrt(aNext),
              direction
                  * switch (prediction) {
                    case EPSILON -> 0;
                    case V_PREDICTION -> noise;
                    case SAMPLE -> 1 / noise;
                  },
              direction
                  * switch (prediction) {
                    case EPSILON -> 1;
                    case V_PREDICTION -> signal;
                    case SAMPLE -> -signal / noise;
                  });
      case DDPM ->
          new StepCoefficients(
              sigma,
              original,
              originalOutput,
              Math.sqrt(aNext) - direction * signal / noise,
              direction / noise,
              0);
    };
  }

  /** The factor of x_t in the mean where x̂0 is not clipped. */
  double x() {
    return clean * original + direct;
  }

  /** The factor of the model's output in the mean where x̂0 is not clipped. */
  double output() {
    return clean * originalOutput + directOutput;
  }
}
