// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import java.util.Arrays;
import java.util.Locale;
import reverie.tensor.ReverieException;

/**
 * The timesteps that a reverse chain visits, from noisy to clean. The step from {@code timestep(i)}
 * goes to {@code timestep(i + 1)}, whatever their distance; the last one goes to {@link #END}. (The
 * Python schedulers go to {@code t − T/N} instead, which is the same for {@link Spacing#LEADING}
 * and leaves the grid for the others, or where N does not divide T.)
 */
public final class TimestepGrid {
  /** Where the last step goes: no timestep of the schedule, but its clean end. */
  public static final int END = -1;

  private final int[] timesteps;

  private TimestepGrid(int[] timesteps) {
    this.timesteps = timesteps;
  }

  /** How N timesteps are chosen among T, in the letters of diffusers' {@code timestep_spacing}. */
  public enum Spacing {
    /** {@code i·⌊T/N⌋ + offset}: begins below T − 1. */
    LEADING,
    /** {@code round(T − i·T/N) − 1}: begins at T − 1. */
    TRAILING,
    /** N equally spaced from 0 to T − 1, rounded. */
    LINSPACE;

    /** The name in diffusers' configuration. */
    public String key() {
      return name().toLowerCase(Locale.ROOT);
    }

    /** The spacing of this name in diffusers' configuration. */
    public static Spacing of(String key) {
      for (Spacing spacing : values()) {
        if (spacing.key().equals(key)) {
          return spacing;
        }
      }
      throw new ReverieException(
          "scheduler config: timestep_spacing \"" + key + "\" is not known",
          "one of leading, trailing, linspace");
    }
  }

  /**
   * N of T timesteps.
   *
   * @param trainSteps T
   * @param steps N
   * @param offset added to each timestep where the spacing is leading: diffusers' {@code
   *     steps_offset}
   */
  public static TimestepGrid of(Spacing spacing, int trainSteps, int steps, int offset) {
    if (steps < 1 || steps > trainSteps) {
      throw new ReverieException(
          "timesteps: expected 1 to " + trainSteps + " sampling steps, got " + steps,
          "the model was trained with " + trainSteps + " timesteps");
    }
    int[] ascending = new int[steps];
    for (int i = 0; i < steps; i++) {
      ascending[i] =
          switch (spacing) {
            case LEADING -> i * (trainSteps / steps) + offset;
            case TRAILING -> (int) Math.rint((i + 1) * ((double) trainSteps / steps)) - 1;
            case LINSPACE ->
                steps == 1 ? 0 : (int) Math.rint(i * ((trainSteps - 1.0) / (steps - 1)));
          };
    }
    if (ascending[0] < 0 || ascending[steps - 1] >= trainSteps) {
      throw new ReverieException(
          "timesteps: with steps_offset "
              + offset
              + " the grid leaves 0 to "
              + (trainSteps - 1)
              + ": "
              + Arrays.toString(ascending),
          "use fewer steps or steps_offset 0");
    }
    int[] timesteps = new int[steps];
    for (int i = 0; i < steps; i++) {
      timesteps[i] = ascending[steps - 1 - i];
    }
    return new TimestepGrid(timesteps);
  }

  /** Number of steps of a chain, N. */
  public int steps() {
    return timesteps.length;
  }

  /** The timestep at which step {@code i} begins; step 0 is the noisiest. */
  public int timestep(int i) {
    return timesteps[i];
  }

  /** The timestep to which step {@code i} goes, {@link #END} for the last. */
  public int next(int i) {
    return i + 1 < timesteps.length ? timesteps[i + 1] : END;
  }

  /** All timesteps, noisiest first. */
  public int[] timesteps() {
    return timesteps.clone();
  }

  @Override
  public String toString() {
    return Arrays.toString(timesteps);
  }
}
