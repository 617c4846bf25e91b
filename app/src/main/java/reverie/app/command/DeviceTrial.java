// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import java.util.List;
import java.util.Locale;
import java.util.function.Supplier;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.cuda.Cuda;

/** Whether a CUDA device does not only answer but compute. */
final class DeviceTrial {
  /** Enough for factors of 8 bits; what is wrong is wrong by more. */
  private static final double TOLERANCE = 0.02;

  private static final String HINT = "see the table above; docs/cuda.md says what is needed";

  private DeviceTrial() {}

  /**
   * Computes a convolution, a group norm, a matrix product and a softmax: cuDNN, our kernels,
   * cuBLAS. Compares them with the processor's.
   *
   * @param parts what the device needs
   * @param open opens the device; called if nothing is missing
   */
  static Finding of(List<Cuda.Part> parts, Supplier<Device> open) {
    for (Cuda.Part part : parts) {
      if (!part.found()) {
        String hint = part.hint().isEmpty() ? HINT : part.hint();
        return Finding.problem("CUDA", part.subject() + ": " + part.detail(), hint);
      }
    }
    try {
      double error = error(open.get());
      String detail = String.format(Locale.ROOT, "computes; relative error %.1e", error);
      // NaN compares false with everything and so must not pass.
      return error <= TOLERANCE
          ? Finding.ok("CUDA", detail)
          : Finding.problem("CUDA", detail, "please report this with the table above");
    } catch (RuntimeException | LinkageError e) {
      return Finding.problem("CUDA", "does not compute: " + e.getMessage(), HINT);
    }
  }

  private static double error(Device device) {
    try (Scope _ = Scope.open("trial")) {
      double[] expected = values(Device.cpu());
      double[] got = values(device);
      double gap = 0;
      double norm = 0;
      for (int i = 0; i < got.length; i++) {
        gap += (got[i] - expected[i]) * (got[i] - expected[i]);
        norm += expected[i] * expected[i];
      }
      return Math.sqrt(gap / norm);
    }
  }

  private static double[] values(Device device) {
    Tensor x = Rng.of(1).normal(device, 2, 8, 8, 16);
    Tensor kernel = Rng.of(2).normal(device, 3, 3, 16, 16);
    Tensor ones = device.full(1, 16);
    Tensor y =
        Ops.groupNorm(Ops.conv2d(x, kernel, null, 1, 1), ones, ones, 4, 1e-5).reshape(128, 16);
    return y.matmul(Rng.of(3).normal(device, 16, 16)).softmax().toDoubles();
  }
}
