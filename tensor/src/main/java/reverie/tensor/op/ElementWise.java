// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

/**
 * An operation whose every output element depends on the input elements at its own place alone,
 * once inputs are broadcast.
 */
public sealed interface ElementWise extends Op permits Copy, ElementFunction, ParameterUpdate {
  /** True: kernels that go element by element go along strides as well. */
  @Override
  default boolean stridedInputs() {
    return true;
  }

  @Override
  default boolean mayOverwrite() {
    return true;
  }
}
