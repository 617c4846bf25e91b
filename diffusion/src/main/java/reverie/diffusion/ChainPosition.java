// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import java.util.function.ToDoubleFunction;
import reverie.tensor.Device;
import reverie.tensor.Tensor;

/**
 * Where each sample of a batch is in a chain, as numbers on the device: all that a step computes
 * with besides the latents. In one tensor, so that a captured step is moved by one upload.
 *
 * @param steps of each sample; none if only the numbers are known, as in a captured step
 * @param numbers {@code [9, n]}: the timesteps, then the coefficients of the step
 */
public record ChainPosition(int[] steps, Tensor numbers) {
  private static final int TIMESTEP = 0;
  private static final int SIGMA = 1;
  private static final int MORE = 2;

  /** The coefficients of a step that multiply a sample. */
  enum Factor {
    ORIGINAL(StepCoefficients::original),
    ORIGINAL_OUTPUT(StepCoefficients::originalOutput),
    CLEAN(StepCoefficients::clean),
    DIRECT(StepCoefficients::direct),
    DIRECT_OUTPUT(StepCoefficients::directOutput),
    X(StepCoefficients::x),
    OUTPUT(StepCoefficients::output);

    private final ToDoubleFunction<StepCoefficients> value;

    Factor(ToDoubleFunction<StepCoefficients> value) {
      this.value = value;
    }

    double of(StepCoefficients step) {
      return value.applyAsDouble(step);
    }
  }

  /** The position of samples of which only the numbers are known. */
  public static ChainPosition of(Tensor numbers) {
    return new ChainPosition(new int[0], numbers);
  }

  static ChainPosition of(
      Device device, TimestepGrid grid, StepCoefficients[] coefficients, int... steps) {
    int n = steps.length;
    double[] numbers = new double[(MORE + Factor.values().length) * n];
    for (int i = 0; i < n; i++) {
      StepCoefficients step = coefficients[steps[i]];
      numbers[TIMESTEP * n + i] = grid.timestep(steps[i]);
      numbers[SIGMA * n + i] = step.sigma();
      for (Factor factor : Factor.values()) {
        numbers[(MORE + factor.ordinal()) * n + i] = factor.of(step);
      }
    }
    return new ChainPosition(steps, device.tensor(numbers, MORE + Factor.values().length, n));
  }

  /** The noise level of each sample as a model wants it: {@code [n]}. */
  public Tensor timesteps() {
    return row(TIMESTEP);
  }

  /** The standard deviation of each sample's action: {@code [n]}. */
  public Tensor sigma() {
    return row(SIGMA);
  }

  /** Each sample of a batch times its own factor. */
  Tensor times(Tensor batch, Factor factor) {
    return batch.mul(Rows.column(batch, row(MORE + factor.ordinal())));
  }

  private Tensor row(int index) {
    return numbers.slice(0, index, index + 1).reshape(numbers.dim(1));
  }
}
