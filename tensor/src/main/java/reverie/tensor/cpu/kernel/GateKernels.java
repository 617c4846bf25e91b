// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.kernel;

import reverie.tensor.Tensor;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.Geglu;
import reverie.tensor.op.GegluBackward;
import reverie.tensor.op.Softmax;
import reverie.tensor.op.SoftmaxBackward;

/** Gated GELU and softmax of rows, and their gradients. */
public interface GateKernels {
  void geglu(Parallel parallel, Geglu op, Tensor[] inputs, Tensor[] outputs);

  void gegluBackward(Parallel parallel, GegluBackward op, Tensor[] inputs, Tensor[] outputs);

  void softmax(Parallel parallel, Softmax op, Tensor[] inputs, Tensor[] outputs);

  void softmaxBackward(Parallel parallel, SoftmaxBackward op, Tensor[] inputs, Tensor[] outputs);
}
