// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.kernel;

import reverie.tensor.Tensor;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.Attention;
import reverie.tensor.op.AttentionBackward;

/** Attention and its gradient, head by head. */
public interface AttentionKernels {
  void forward(Parallel parallel, Attention op, Tensor[] inputs, Tensor[] outputs);

  void backward(Parallel parallel, AttentionBackward op, Tensor[] inputs, Tensor[] outputs);
}
