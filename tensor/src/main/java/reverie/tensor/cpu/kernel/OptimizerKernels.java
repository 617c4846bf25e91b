// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.kernel;

import reverie.tensor.Tensor;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.AdamW;
import reverie.tensor.op.Lerp;

/** Steps of optimizers and moving averages, usually in place. */
public interface OptimizerKernels {
  void adamW(Parallel parallel, AdamW op, Tensor[] inputs, Tensor[] outputs);

  void lerp(Parallel parallel, Lerp op, Tensor[] inputs, Tensor[] outputs);
}
