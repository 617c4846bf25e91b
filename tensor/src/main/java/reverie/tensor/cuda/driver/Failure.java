// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

import static jcuda.driver.CUresult.CUDA_ERROR_ILLEGAL_ADDRESS;
import static jcuda.driver.CUresult.CUDA_ERROR_ILLEGAL_INSTRUCTION;
import static jcuda.driver.CUresult.CUDA_ERROR_INVALID_DEVICE;
import static jcuda.driver.CUresult.CUDA_ERROR_INVALID_IMAGE;
import static jcuda.driver.CUresult.CUDA_ERROR_LAUNCH_FAILED;
import static jcuda.driver.CUresult.CUDA_ERROR_MISALIGNED_ADDRESS;
import static jcuda.driver.CUresult.CUDA_ERROR_NOT_FOUND;
import static jcuda.driver.CUresult.CUDA_ERROR_NO_BINARY_FOR_GPU;
import static jcuda.driver.CUresult.CUDA_ERROR_NO_DEVICE;
import static jcuda.driver.CUresult.CUDA_ERROR_OUT_OF_MEMORY;
import static jcuda.driver.CUresult.CUDA_ERROR_STUB_LIBRARY;
import static jcuda.driver.CUresult.CUDA_ERROR_SYSTEM_DRIVER_MISMATCH;
import static jcuda.driver.CUresult.CUDA_ERROR_UNSUPPORTED_PTX_VERSION;

import java.util.Locale;
import reverie.tensor.ReverieException;

/** What a call of CUDA's, cuBLAS's or cuDNN's that went wrong is to the user. */
final class Failure {
  private Failure() {}

  /**
   * @param what was being done, for instance {@code launching the kernel fill}
   * @param code what CUDA's driver returned
   * @param name CUDA's name of it
   * @param meaning CUDA's words for it
   */
  static ReverieException driver(String what, int code, String name, String meaning) {
    return new ReverieException(
        String.format(Locale.ROOT, "cuda device: %s failed: %s (%s)", what, name, meaning),
        hint(code));
  }

  /** The same of a library on top of the driver. */
  static ReverieException library(String library, String what, String name) {
    return new ReverieException(
        String.format(Locale.ROOT, "cuda device: %s of %s failed: %s", what, library, name),
        "see whether the driver is new enough for the library (nvidia-smi and ./reverie doctor show"
            + " the versions), and whether -Dreverie.precision=float32 helps");
  }

  private static String hint(int code) {
    return switch (code) {
      case CUDA_ERROR_OUT_OF_MEMORY ->
          "take smaller batches, or end what else uses the device (nvidia-smi lists it)";
      case CUDA_ERROR_NO_DEVICE, CUDA_ERROR_STUB_LIBRARY ->
          "nvidia-smi must list a device; in a container, start it with --gpus all, and see that"
              + " CUDA_VISIBLE_DEVICES does not hide it";
      case CUDA_ERROR_INVALID_DEVICE ->
          "-Dreverie.cuda.device=… counts the devices that nvidia-smi lists from 0";
      case CUDA_ERROR_NO_BINARY_FOR_GPU, CUDA_ERROR_INVALID_IMAGE ->
          "a device of compute capability 8.0 (Ampere) or newer is needed";
      case CUDA_ERROR_UNSUPPORTED_PTX_VERSION, CUDA_ERROR_SYSTEM_DRIVER_MISMATCH ->
          "install a newer NVIDIA driver, and start the machine again after that";
      case CUDA_ERROR_NOT_FOUND -> "the packed kernels are older than the classes: build again";
      case CUDA_ERROR_ILLEGAL_ADDRESS,
          CUDA_ERROR_ILLEGAL_INSTRUCTION,
          CUDA_ERROR_MISALIGNED_ADDRESS,
          CUDA_ERROR_LAUNCH_FAILED ->
          "an earlier kernel went wrong, and the process has to start again; it is a defect of"
              + " Reverie, which compute-sanitizer can name";
      default -> "./reverie doctor looks at the device; --device cpu does without it";
    };
  }
}
