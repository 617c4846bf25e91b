// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.kernel;

import reverie.tensor.Tensor;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.AveragePool;
import reverie.tensor.op.GaussianLogProb;
import reverie.tensor.op.Reduce;

/** Sums, maxima and what is made of them. */
public interface ReductionKernels {
  void reduce(Parallel parallel, Reduce op, Tensor[] inputs, Tensor[] outputs);

  /** y = the Euclidean norm of x. */
  void norm(Parallel parallel, Tensor x, Tensor y);

  void gaussianLogProb(Parallel parallel, GaussianLogProb op, Tensor[] inputs, Tensor[] outputs);

  void averagePool(Parallel parallel, AveragePool op, Tensor[] inputs, Tensor[] outputs);
}
