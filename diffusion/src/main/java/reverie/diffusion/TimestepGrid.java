// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import java.util.Arrays;
import java.util.Locale;
import java.util.function.IntUnaryOperator;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import reverie.tensor.ReverieException;

/**
 * The timesteps that a reverse chain visits, from noisy to clean. The step from {@code timestep(i)}
 * goes to {@code timestep(i + 1)}, whatever their distance; the last one goes to {@link #END}. (The
 * Python schedulers go to {@code t − ⌊T/N⌋} instead, which is the same for {@link Spacing#LEADING}
 * and leaves the grid for the others, or where N does not divide T.)
 *
 * <p>Timesteps are whole, but for those of a flow, which are {@code σ·T}.
 */
public final class TimestepGrid {
  /** Where the last step goes: no timestep of the schedule, but its clean end. */
  public static final int END = -1;

  private final double[] timesteps;

  private TimestepGrid(double... timesteps) {
    this.timesteps = timesteps;
  }

  /** How N timesteps are chosen among T, in the letters of diffusers' {@code timestep_spacing}. */
  public enum Spacing {
    /** {@code i·⌊T/N⌋ + offset}: begins below T − 1. */
    LEADING,
    /** {@code round(T − i·T/N) − 1}: begins at T − 1. Of a flow: σ = 1 − i/N. */
    TRAILING,
    /**
     * N equally spaced from 0 to T − 1, rounded. Of a flow: σ from 1 to 1/T, as diffusers has it.
     */
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
          "scheduler config: timestep_spacing \"" + ReverieException.shown(key) + "\" is not known",
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
    requireSteps(trainSteps, steps);
    // Ties are rounded as NumPy's arange makes them: by the difference of its first two numbers.
    double stride = trainSteps - (double) trainSteps / steps - trainSteps;
    return checked(
        trainSteps,
        offset,
        i ->
            switch (spacing) {
              case LEADING -> (steps - 1 - i) * (trainSteps / steps) + offset;
              case TRAILING -> (int) Math.rint(trainSteps + i * stride) - 1;
              case LINSPACE ->
                  steps == 1
                      ? 0
                      : (int) Math.rint((steps - 1 - i) * ((trainSteps - 1.0) / (steps - 1)));
            },
        steps);
  }

  /**
   * The timesteps of diffusers' DPMSolverMultistepScheduler, which never visits the cleanest: those
   * of N + 1 steps without the last, where the spacing is not trailing.
   */
  static TimestepGrid ofSolver(Spacing spacing, int trainSteps, int steps, int offset) {
    requireSteps(trainSteps, steps);
    return switch (spacing) {
      case TRAILING -> of(spacing, trainSteps, steps, offset);
      case LEADING ->
          checked(
              trainSteps, offset, i -> (steps - i) * (trainSteps / (steps + 1)) + offset, steps);
      case LINSPACE ->
          checked(
              trainSteps,
              offset,
              i -> (int) Math.rint((steps - i) * ((trainSteps - 1.0) / steps)),
              steps);
    };
  }

  /** Those of N steps, of which the second comes twice: of diffusers' PNDMScheduler. */
  static TimestepGrid ofPseudoNumerical(Spacing spacing, int trainSteps, int steps, int offset) {
    double[] own = of(spacing, trainSteps, steps, offset).timesteps;
    return steps == 1
        ? new TimestepGrid(own)
        : new TimestepGrid(
            IntStream.rangeClosed(0, steps).mapToDouble(i -> own[i < 2 ? i : i - 1]).toArray());
  }

  /**
   * The timesteps {@code σ·T} of a flow: equally spaced σ, moved towards noise by {@code s·σ/(1 +
   * (s−1)·σ)}. Where the spacing is linspace they begin at 1 and end at the least σ of training,
   * 1/T moved by s, and are then moved all together: diffusers' FlowMatchEulerDiscreteScheduler.
   */
  static TimestepGrid ofFlow(Spacing spacing, int trainSteps, int steps, double shift) {
    requireSteps(trainSteps, steps);
    double least = shifted(1.0 / trainSteps, shift);
    double[] timesteps = new double[steps];
    for (int i = 0; i < steps; i++) {
      double sigma =
          switch (spacing) {
            case TRAILING -> 1 - (double) i / steps;
            case LINSPACE -> steps == 1 ? 1 : 1 + i * ((least - 1) / (steps - 1));
            case LEADING ->
                throw new ReverieException(
                    "timesteps: the spacing of a flow is linspace or trailing, got leading");
          };
      timesteps[i] = trainSteps * shifted(sigma, shift);
    }
    return new TimestepGrid(timesteps);
  }

  /** σ moved towards noise. */
  static double shifted(double sigma, double shift) {
    return shift * sigma / (1 + (shift - 1) * sigma);
  }

  private static void requireSteps(int trainSteps, int steps) {
    if (steps < 1 || steps > trainSteps) {
      throw new ReverieException(
          "timesteps: expected 1 to " + trainSteps + " sampling steps, got " + steps,
          "the model was trained with " + trainSteps + " timesteps");
    }
  }

  private static TimestepGrid checked(int trainSteps, int offset, IntUnaryOperator at, int steps) {
    int[] timesteps = IntStream.range(0, steps).map(at).toArray();
    TimestepGrid grid = new TimestepGrid(IntStream.of(timesteps).asDoubleStream().toArray());
    if (timesteps[steps - 1] < 0 || timesteps[0] >= trainSteps) {
      throw new ReverieException(
          "timesteps: with steps_offset "
              + offset
              + " the grid leaves 0 to "
              + (trainSteps - 1)
              + ": "
              + ReverieException.shown(grid),
          "use fewer steps or steps_offset 0");
    }
    return grid;
  }

  /** Number of steps of a chain, N. */
  public int steps() {
    return timesteps.length;
  }

  /** The timestep at which step {@code i} begins; step 0 is the noisiest. */
  public double timestep(int i) {
    return timesteps[i];
  }

  /** The timestep to which step {@code i} goes, {@link #END} for the last. */
  public double next(int i) {
    return i + 1 < timesteps.length ? timesteps[i + 1] : END;
  }

  /** All timesteps, noisiest first. */
  public double[] timesteps() {
    return timesteps.clone();
  }

  static String text(double timestep) {
    return timestep == Math.rint(timestep)
        ? Long.toString((long) timestep)
        : Double.toString(timestep);
  }

  @Override
  public String toString() {
    return Arrays.stream(timesteps)
        .mapToObj(TimestepGrid::text)
        .collect(Collectors.joining(", ", "[", "]"));
  }
}
