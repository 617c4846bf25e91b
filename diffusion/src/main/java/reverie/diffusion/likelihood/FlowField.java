// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion.likelihood;

import reverie.diffusion.NoiseSchedule;
import reverie.diffusion.Prediction;

/**
 * The probability flow as a differential equation, {@code dx/dλ = ofState·x + ofOutput·out}, over
 * the levels of {@link NoiseLevels}; of a model that is a flow already over σ.
 *
 * @param schedule the noise that the model was trained with
 * @param prediction what it predicts
 * @param levels null for a flow
 */
record FlowField(NoiseSchedule schedule, Prediction prediction, NoiseLevels levels) {
  static FlowField of(NoiseSchedule schedule, Prediction prediction) {
    return new FlowField(schedule, prediction, schedule.isFlow() ? null : NoiseLevels.of(schedule));
  }

  /** The level of images. */
  double lowest() {
    return levels == null ? 0 : levels.lowest();
  }

  /** The level of noise. */
  double highest() {
    return levels == null ? 1 : levels.highest();
  }

  double timestep(double level) {
    return levels == null ? level * schedule.steps() : levels.timestep(level);
  }

  double ofState(double level) {
    return switch (prediction) {
      case EPSILON -> -NoiseLevels.noise(level);
      case V_PREDICTION, FLOW -> 0;
      case SAMPLE -> NoiseLevels.signal(level);
    };
  }

  double ofOutput(double level) {
    return switch (prediction) {
      case EPSILON -> Math.sqrt(NoiseLevels.noise(level));
      case V_PREDICTION -> Math.sqrt(NoiseLevels.signal(level) * NoiseLevels.noise(level));
      case SAMPLE -> -Math.sqrt(NoiseLevels.signal(level));
      case FLOW -> 1;
    };
  }
}
