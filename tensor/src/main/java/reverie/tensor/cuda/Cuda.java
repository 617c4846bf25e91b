// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import reverie.tensor.ReverieException;
import reverie.tensor.cuda.driver.Connection;
import reverie.tensor.cuda.driver.CudaLibraries;
import reverie.tensor.cuda.driver.CudaLibrary;
import reverie.tensor.cuda.driver.Precision;

/** Makes the backend of a real device, and says what keeps it from being made. */
public final class Cuda {
  /**
   * One of the things that a CUDA device needs.
   *
   * @param subject what was looked for
   * @param found whether it is there and works
   * @param detail where it is, or what is wrong
   * @param version empty if there is none
   * @param hint what to do; empty if nothing
   */
  public record Part(String subject, boolean found, String detail, String version, String hint) {}

  private Cuda() {}

  /**
   * Connects to the device that the property {@code reverie.cuda.device} counts, from 0; the
   * property {@code reverie.precision} ({@code float32}, {@code tf32} or {@code bf16}) says to what
   * the factors of products are rounded, and {@code reverie.cuda.attention} ({@code own} or {@code
   * cudnn}) whether cuDNN computes attention of sizes for which it may be faster.
   *
   * @throws ReverieException with the reason and what to do if there is none
   */
  public static CudaBackend open() {
    return open(precision());
  }

  /**
   * Connects to the same device.
   *
   * @param precision to what the factors of products are rounded
   * @throws ReverieException with the reason and what to do if there is none
   */
  public static CudaBackend open(Precision precision) {
    int ordinal = ordinal();
    boolean attends = attends();
    List<Path> folders = CudaLibraries.folders();
    for (CudaLibrary library : CudaLibrary.values()) {
      library.load(folders);
    }
    Connection device = Connection.open(ordinal, attends);
    return new CudaBackend(device.driver(), device.blas(), device.dnn(), precision);
  }

  /** Whether NVIDIA's driver is installed, so that a device can be expected. */
  public static boolean hasDriver() {
    return CudaLibrary.DRIVER.find(CudaLibraries.folders()).isPresent();
  }

  /** Everything that a device needs, looked for here and tried out; never throws. */
  public static List<Part> examine() {
    return examine(CudaLibraries.folders());
  }

  static List<Part> examine(List<Path> folders) {
    List<Part> parts = new ArrayList<>();
    for (CudaLibrary library : CudaLibrary.values()) {
      try {
        Path file = library.load(folders);
        parts.add(new Part(library.label(), true, file.toString(), library.version(), ""));
      } catch (ReverieException e) {
        parts.add(missing(library.label(), e));
      }
    }
    parts.add(
        Connection.hasKernels()
            ? new Part("kernels", true, "packed", "", "")
            : new Part("kernels", false, "missing", "", Connection.KERNELS_HINT));
    if (parts.stream().allMatch(Part::found)) {
      try (CudaBackend backend = open()) {
        parts.add(new Part("device", true, backend.describe(), "", ""));
      } catch (ReverieException e) {
        parts.add(missing("device", e));
      }
    }
    return parts;
  }

  private static Part missing(String subject, ReverieException reason) {
    String[] lines = reason.getMessage().split("\nhint: ", 2);
    String detail = lines[0].replaceFirst("^cuda device: ", "");
    return new Part(subject, false, detail, "", lines.length > 1 ? lines[1] : "");
  }

  private static int ordinal() {
    return ordinal(System.getProperty("reverie.cuda.device", "0"));
  }

  static int ordinal(String number) {
    if (!number.matches("\\d{1,4}")) {
      throw new ReverieException(
          "cuda device: expected reverie.cuda.device to be the number of a device, got " + number,
          "nvidia-smi lists the devices, counted from 0");
    }
    return Integer.parseInt(number);
  }

  private static boolean attends() {
    return attends(System.getProperty("reverie.cuda.attention", "own"));
  }

  static boolean attends(String whose) {
    return switch (whose) {
      case "own" -> false;
      case "cudnn" -> true;
      default ->
          throw new ReverieException(
              "cuda device: expected reverie.cuda.attention to be own or cudnn, got " + whose);
    };
  }

  static Precision precision() {
    return precision(System.getProperty("reverie.precision", "float32"));
  }

  static Precision precision(String name) {
    return Arrays.stream(Precision.values())
        .filter(precision -> precision.label().equals(name))
        .findFirst()
        .orElseThrow(() ->
            new ReverieException(
                "cuda device: expected reverie.precision to be float32, tf32 or bf16, got "
                    + name));
  }
}
