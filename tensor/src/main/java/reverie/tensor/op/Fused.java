// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import reverie.tensor.Tensor;

/**
 * An operation that carries its own definition in simpler ones: the fallback of every backend, the
 * oracle of the tests, and the gradient where no rule is given.
 */
public sealed interface Fused extends Op
    permits AdamW,
        Attention,
        AttentionBackward,
        AveragePool,
        CustomOp,
        EuclideanNorm,
        FeedForward,
        FeedForwardBackward,
        GaussianLogProb,
        Geglu,
        GegluBackward,
        GeluBackward,
        GroupNorm,
        GroupNormBackward,
        LayerNorm,
        LayerNormBackward,
        Lerp,
        Linear,
        LinearGradients,
        SiluBackward,
        Softmax,
        SoftmaxBackward,
        UpsampleNearest {
  /** The definition: the same outputs from simpler operations. */
  Tensor[] decompose(Tensor... inputs);
}
