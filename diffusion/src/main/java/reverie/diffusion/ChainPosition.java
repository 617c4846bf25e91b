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
 * @param numbers {@code [n, 14]}: of each sample the timestep, then the coefficients of its step
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
    OUTPUT(StepCoefficients::output),
    CORRECTION(StepCoefficients::correction),
    FIRST(step -> step.past().first()),
    SECOND(step -> step.past().second()),
    THIRD(step -> step.past().third()),
    START(step -> step.past().start());

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
    int count = MORE + Factor.values().length;
    double[] numbers = new double[n * count];
    for (int i = 0; i < n; i++) {
      StepCoefficients step = coefficients[steps[i]];
      numbers[i * count + TIMESTEP] = grid.timestep(steps[i]);
      numbers[i * count + SIGMA] = step.sigma();
      for (Factor factor : Factor.values()) {
        numbers[i * count + MORE + factor.ordinal()] = factor.of(step);
      }
    }
    return new ChainPosition(steps, device.tensor(numbers, n, count));
  }

  /** The noise level of each sample as a model wants it: {@code [n]}. */
  public Tensor timesteps() {
    return column(TIMESTEP);
  }

  /** The standard deviation of each sample's action: {@code [n]}. */
  public Tensor sigma() {
    return column(SIGMA);
  }

  /** Each sample of a batch times its own factor. */
  Tensor times(Tensor batch, Factor factor) {
    return batch.mul(Rows.column(batch, column(MORE + factor.ordinal())));
  }

  private Tensor column(int index) {
    return numbers.slice(1, index, index + 1).reshape(numbers.dim(0));
  }
}
