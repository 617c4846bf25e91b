// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import reverie.tensor.ReverieException;

/**
 * One reverse step in numbers, worked out once in double precision:
 *
 * <pre>{@code
 * x̂0   = original·x_t + originalOutput·out            (clipped where the scheduler says so)
 * mean = clean·x̂0 + direct·x_t + directOutput·out + correction·(x̂0 − x̂0 of the step before)
 * }</pre>
 *
 * <p>Every prediction and every rule is linear in x_t and the model's output but for the clipping,
 * so that they differ only here. Without clipping both lines fold into {@code mean = x·x_t +
 * output·out}, where the division by √ᾱ_t has cancelled. Only a solver of second order has a
 * correction, and only a linear multistep method adds what is {@link Past}.
 */
record StepCoefficients(
    double sigma,
    double original,
    double originalOutput,
    double clean,
    double direct,
    double directOutput,
    double correction,
    Past past) {

  /**
   * What a linear multistep method multiplies with: the model's outputs one, two and three steps
   * ago, and the latents at which the chain began.
   */
  record Past(double first, double second, double third, double start) {
    static final Past NONE = new Past(0, 0, 0, 0);
  }

  /** A step that looks back at x̂0 at most. */
  StepCoefficients(
      double sigma,
      double original,
      double originalOutput,
      double clean,
      double direct,
      double directOutput,
      double correction) {
    this(sigma, original, originalOutput, clean, direct, directOutput, correction, Past.NONE);
  }

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

  /** The same step without the correction. */
  StepCoefficients firstOrder() {
    return new StepCoefficients(sigma, original, originalOutput, clean, direct, directOutput, 0);
  }

  /** The same mean with another deviation. */
  StepCoefficients withSigma(double other) {
    return new StepCoefficients(
        other, original, originalOutput, clean, direct, directOutput, correction, past);
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
    requireSignal(prediction, t, a);
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
    double original = prediction.stateFactor(signal);
    double originalOutput = prediction.outputFactor(signal, noise);
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
                    case FLOW -> 1;
                  },
              direction
                  * switch (prediction) {
                    case EPSILON -> 1;
                    case V_PREDICTION -> signal;
                    case SAMPLE -> -signal / noise;
                    case FLOW -> signal;
                  },
              0);
      case DDPM ->
          new StepCoefficients(
              sigma,
              original,
              originalOutput,
              Math.sqrt(aNext) - direction * signal / noise,
              direction / noise,
              0,
              0);
    };
  }

  /**
   * The step of a flow from σ to σ' &lt; σ.
   *
   * @param denominator σ, or where it is 1 the next of the grid, which {@link FlowNoise#FLOW_SDE}
   *     divides by
   */
  static StepCoefficients flow(
      FlowNoise rule, double level, double sigma, double next, double denominator) {
    if (rule == FlowNoise.CPS) {
      double deviation = next * Math.sin(level * Math.PI / 2);
      double direction = next * Math.cos(level * Math.PI / 2);
      return new StepCoefficients(
          deviation, 1, -sigma, 1 - next, direction, direction * (1 - sigma), 0);
    }
    double dt = next - sigma;
    double g = rule.diffusion(level, sigma, denominator);
    double pull = g * g / (2 * sigma) * dt;
    return new StepCoefficients(
        g * Math.sqrt(-dt), 1, -sigma, 0, 1 + pull, dt + pull * (1 - sigma), 0);
  }

  /**
   * The deterministic step of DPM-Solver++ of second order, 2M with the midpoint rule (Lu et al.
   * 2022b, algorithm 2), which is DDIM with η = 0 where it has no correction.
   *
   * @param before timestep of the step before, or negative for none
   * @param endsClean whether the end is x̂0; else timestep 0
   * @param lowerOrderAtEnd whether the last step has no correction
   */
  static StepCoefficients solver(
      NoiseSchedule schedule,
      Prediction prediction,
      double before,
      double t,
      double next,
      boolean endsClean,
      boolean lowerOrderAtEnd) {
    double a = schedule.signal(t);
    double b = schedule.noise(t);
    requireSignal(prediction, t, a);
    boolean end = next == TimestepGrid.END;
    boolean zero = end && (endsClean || schedule.isFlow());
    double aNext = zero ? 1 : schedule.signal(Math.max(next, 0));
    double bNext = zero ? 0 : schedule.noise(Math.max(next, 0));
    double clean = aNext - a * bNext / b;
    double correction = 0;
    if (before >= 0 && !zero && !(end && lowerOrderAtEnd)) {
      double ratio =
          (logRatio(aNext, bNext) - logRatio(a, b))
              / (logRatio(a, b) - logRatio(schedule.signal(before), schedule.noise(before)));
      correction = clean * ratio / 2;
    }
    return new StepCoefficients(
        0,
        prediction.stateFactor(a),
        prediction.outputFactor(a, b),
        clean,
        bNext / b,
        0,
        correction);
  }

  /**
   * A step of the pseudo linear multistep method (Liu et al. 2022, eq. 12), whose first step is
   * made twice (eq. 13, as diffusers' PNDMScheduler does with {@code skip_prk_steps}): the DDIM
   * step with η = 0, whose output is a mean of this and earlier ones.
   *
   * @param at the step from where it begins to where it ends
   * @param index its number; step 1 makes step 0 again
   */
  static StepCoefficients pseudoNumerical(StepCoefficients at, int index) {
    double[] weights =
        switch (index) {
          case 0 -> new double[] {1, 0, 0, 0};
          case 1 -> new double[] {1 / 2.0, 1 / 2.0, 0, 0};
          case 2 -> new double[] {3 / 2.0, -1 / 2.0, 0, 0};
          case 3 -> new double[] {23 / 12.0, -16 / 12.0, 5 / 12.0, 0};
          default -> new double[] {55 / 24.0, -59 / 24.0, 37 / 24.0, -9 / 24.0};
        };
    double x = at.x();
    double output = at.output();
    return new StepCoefficients(
        0,
        at.original,
        at.originalOutput,
        0,
        index == 1 ? 0 : x,
        weights[0] * output,
        0,
        new Past(
            weights[1] * output, weights[2] * output, weights[3] * output, index == 1 ? x : 0));
  }

  private static double logRatio(double signal, double noise) {
    return Math.log(signal) - Math.log(noise);
  }

  private static void requireSignal(Prediction prediction, double t, double signal) {
    if (signal == 0 && prediction == Prediction.EPSILON) {
      throw new ReverieException(
          "reverse policy: nothing of the sample is left at timestep "
              + TimestepGrid.text(t)
              + ", where a model that predicts epsilon cannot begin",
          "rescale_betas_zero_snr wants v_prediction; or use the spacing leading");
    }
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
