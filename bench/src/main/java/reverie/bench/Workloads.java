// SPDX-License-Identifier: Apache-2.0
package reverie.bench;

import java.util.List;
import reverie.tensor.catalog.Input;
import reverie.tensor.catalog.Sample;
import reverie.tensor.catalog.Tolerance;
import reverie.tensor.op.AdamW;
import reverie.tensor.op.Attention;
import reverie.tensor.op.AttentionBackward;
import reverie.tensor.op.Binary;
import reverie.tensor.op.Conv2d;
import reverie.tensor.op.Conv2dInputGradient;
import reverie.tensor.op.Conv2dWeightGradient;
import reverie.tensor.op.FeedForward;
import reverie.tensor.op.FeedForwardBackward;
import reverie.tensor.op.Geglu;
import reverie.tensor.op.GroupNorm;
import reverie.tensor.op.GroupNormBackward;
import reverie.tensor.op.LayerNorm;
import reverie.tensor.op.Lerp;
import reverie.tensor.op.Linear;
import reverie.tensor.op.MatMul;
import reverie.tensor.op.Op;
import reverie.tensor.op.Softmax;
import reverie.tensor.op.Unary;

/**
 * The operations on which training the model that ships with Reverie spends its time, at their
 * sizes there: 64 images of 16 × 16 pixels, 32 channels, and 64 channels at half the size.
 */
final class Workloads {
  private static final int PARAMETERS = 1_200_000;

  private Workloads() {}

  static List<Sample> all() {
    Input fine = Input.normal(64, 16, 16, 32);
    Input coarse = Input.normal(64, 8, 8, 64);
    Input fineKernel = Input.normal(3, 3, 32, 32);
    Input coarseKernel = Input.normal(3, 3, 64, 64);
    Input tokens = Input.normal(64, 256, 32);
    Input words = Input.normal(64, 10, 32);
    Input groups = Input.positive(64, 8);
    Input channels = Input.normal(32);
    Input weights = Input.normal(PARAMETERS);
    return List.of(
        workload(new Conv2d(1, 1), fine, fineKernel),
        workload(new Conv2d(1, 1), coarse, coarseKernel),
        workload(new Conv2d(2, 1), fine, fineKernel),
        workload(new Conv2dInputGradient(1, 1, 16, 16), fine, fineKernel),
        workload(new Conv2dInputGradient(1, 1, 8, 8), coarse, coarseKernel),
        workload(new Conv2dWeightGradient(1, 1, 3, 3), fine, fine),
        workload(new Conv2dWeightGradient(1, 1, 3, 3), coarse, coarse),
        workload(new MatMul(), Input.normal(512, 512), Input.normal(512, 512)),
        workload(new Linear(), Input.normal(4096, 64), Input.normal(512, 64), Input.normal(512)),
        workload(
            new FeedForward(),
            Input.normal(4096, 64),
            Input.normal(512, 64),
            Input.normal(512),
            Input.normal(64, 256),
            Input.normal(64),
            Input.normal(4096, 64)),
        workload(
            new FeedForwardBackward(),
            Input.normal(4096, 64),
            Input.normal(512, 64),
            Input.normal(512),
            Input.normal(64, 256),
            Input.normal(4096, 64)),
        workload(new Attention(1, 4), tokens, tokens, tokens),
        workload(new Attention(1, 4), tokens, words, words),
        workload(
            new AttentionBackward(1, 4),
            tokens,
            tokens,
            tokens,
            tokens,
            Input.positive(64, 4, 256),
            tokens),
        workload(new GroupNorm(8, 1e-5), fine, channels, channels),
        workload(new GroupNormBackward(8), fine, channels, channels, groups, groups, fine),
        workload(new LayerNorm(1e-5), Input.normal(4096, 64), Input.normal(64), Input.normal(64)),
        workload(new Geglu(), Input.normal(4096, 512)),
        workload(new Softmax(), Input.normal(4096, 512)),
        workload(new Unary(Unary.Kind.SILU), fine),
        workload(new Unary(Unary.Kind.EXP), fine),
        workload(new Binary(Binary.Kind.ADD), fine, fine),
        workload(new Binary(Binary.Kind.ADD), fine, channels),
        workload(new Lerp(), weights, weights, Input.positive(1)),
        workload(
            new AdamW(0.9, 0.999, 1e-8, 0.01),
            weights,
            weights,
            weights,
            Input.positive(PARAMETERS),
            Input.positive(4)));
  }

  private static Sample workload(Op op, Input... inputs) {
    String label = op.name() + List.of(inputs);
    return new Sample(label, op, List.of(inputs), new Tolerance.Exact(), false);
  }
}
