// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda;

import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.graph.CapturedGraph;
import reverie.tensor.op.Attention;
import reverie.tensor.op.AttentionBackward;

/** Attention of a size that cuDNN is asked for, and its gradients, compared with the CPU. */
public final class StandinAttention {
  private static final int TOKENS = 256;
  private static final int HEADS = 2;
  private static final int WIDTH = 72;
  private static final int VALUES = 80;
  private static final double SCALE = 0.1;

  private StandinAttention() {}

  /** Fails unless results and gradients are those of the CPU, computed at once or captured. */
  public static void agree(Device device) {
    try (Scope _ = Scope.open("attention")) {
      Tensor[] expected = attend(factors(Device.cpu(), 1));
      Tensor[] factors = factors(device, 1);
      Tensor[] got = attend(factors);
      for (int i = 0; i < got.length; i++) {
        checkClose("output " + i, expected[i].toDoubles(), got[i].toDoubles());
      }
      try (CapturedGraph step = CapturedGraph.of(device, () -> attend(factors))) {
        step.run();
        for (int i = 0; i < got.length; i++) {
          if (!Arrays.equals(got[i].toFloats(), step.outputs().get(i).toFloats())) {
            throw new AssertionError("captured, output " + i + " differs");
          }
        }
      }
    }
  }

  /** Has a backend ask cuDNN for the same, and computes nothing. */
  static void ask(CudaBackend backend) {
    Device device = new Device(backend);
    try (Scope _ = Scope.open("attention")) {
      Tensor[] x = factors(device, 1);
      Tensor y = x[3];
      Tensor logSumExp = device.zeros(1, HEADS, TOKENS);
      Tensor[] read = {x[0], x[1], x[2]};
      backend.scratchBytes(new Attention(SCALE, HEADS), read, new Tensor[] {y, logSumExp});
      Tensor[] saved = {x[0], x[1], x[2], y, logSumExp, x[3]};
      backend.scratchBytes(new AttentionBackward(SCALE, HEADS), saved, read);
    }
  }

  /** Queries, keys, values and the gradient of the result, exact in bfloat16. */
  public static Tensor[] factors(Device on, int images) {
    return Stream.of(List.of(1, WIDTH), List.of(2, WIDTH), List.of(3, VALUES), List.of(4, VALUES))
        .map(factor -> {
          int width = HEADS * factor.get(1);
          double[] values =
              new SplittableRandom(factor.get(0))
                  .doubles((long) images * TOKENS * width, -2, 2)
                  .map(DType.BF16::round)
                  .toArray();
          return on.tensor(values, images, TOKENS, width);
        })
        .toArray(Tensor[]::new);
  }

  /** The result, log Σ exp, and the gradients of queries, keys and values. */
  public static Tensor[] attend(Tensor... x) {
    Tensor[] y = Ops.applyAll(new Attention(SCALE, HEADS), x[0], x[1], x[2]);
    Tensor[] gradients =
        Ops.applyAll(new AttentionBackward(SCALE, HEADS), x[0], x[1], x[2], y[0], y[1], x[3]);
    return Stream.concat(Stream.of(y), Stream.of(gradients)).toArray(Tensor[]::new);
  }

  /** Fails unless numbers are the same up to the rounding of factors. */
  public static void checkClose(String what, double[] expected, double... got) {
    double largest = Arrays.stream(expected).map(Math::abs).max().orElseThrow();
    for (int i = 0; i < expected.length; i++) {
      if (!(Math.abs(expected[i] - got[i]) <= 0x1p-7 * largest)) {
        throw new AssertionError(
            what + ", element " + i + ": expected " + expected[i] + ", got " + got[i]);
      }
    }
  }
}
