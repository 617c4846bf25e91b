// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.kernel;

import reverie.tensor.Tensor;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.Linear;
import reverie.tensor.op.MatMul;

/** Matrix products; what {@link Linear} adds to them is added as they are written. */
public interface MatrixKernels {
  void linear(Parallel parallel, Linear op, Tensor[] inputs, Tensor[] outputs);

  void matMul(Parallel parallel, MatMul op, Tensor[] inputs, Tensor[] outputs);
}
