// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.kernel;

import reverie.tensor.Tensor;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.FeedForward;
import reverie.tensor.op.FeedForwardBackward;

/** Feed-forward networks and their gradients as one operation each. */
public interface FeedForwardKernels {
  void forward(Parallel parallel, FeedForward op, Tensor[] inputs, Tensor[] outputs);

  void backward(Parallel parallel, FeedForwardBackward op, Tensor[] inputs, Tensor[] outputs);
}
