// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import reverie.tensor.ReverieException;

/** The libraries of NVIDIA's that a CUDA device needs, in the order in which they depend. */
public enum CudaLibrary {
  /** CUDA's driver. */
  DRIVER(
      "NVIDIA driver",
      null,
      List.of("libcuda.so.1"),
      "install NVIDIA's driver until nvidia-smi lists the device; start a container with --gpus"
          + " all"),
  /** Matrix products; JCuda wants version 12. */
  CUBLAS(
      "cuBLAS",
      "cublas",
      List.of("libcublas.so.12", "libcublas.so.13"),
      "install CUDA's toolkit 12 or 13, or: pip install nvidia-cublas"),
  /** Convolutions; JCudnn wants version 8. */
  CUDNN(
      "cuDNN",
      "cudnn",
      List.of("libcudnn.so.8", "libcudnn.so.9"),
      "install cuDNN 8 or 9 (Debian: apt install libcudnn9-cuda-12), or: pip install"
          + " nvidia-cudnn-cu13");

  private final String label;
  private final String shim;
  private final List<String> names;
  private final String remedy;

  CudaLibrary(String label, String shim, List<String> names, String remedy) {
    this.label = label;
    this.shim = shim;
    this.names = names;
    this.remedy = remedy;
  }

  /** For people. */
  public String label() {
    return label;
  }

  /** The name under which JCuda's library asks for it, then those that do as well. */
  List<String> names() {
    return names;
  }

  /** The first of the names in the first of the folders that has it. */
  public Optional<Path> find(List<Path> folders) {
    return names.stream()
        .flatMap(name -> folders.stream().map(folder -> folder.resolve(name)))
        .filter(Files::exists)
        .findFirst();
  }

  /**
   * Finds the library and loads it into this process, under the name that JCuda asks for.
   *
   * @return where it was found
   * @throws ReverieException if there is none, or it cannot be loaded
   */
  public Path load(List<Path> folders) {
    Path file =
        find(folders)
            .orElseThrow(() ->
                new ReverieException(
                    String.format(
                        Locale.ROOT,
                        "cuda device: %s (%s) was found in none of %d folders",
                        label,
                        String.join(" or ", names),
                        folders.size()),
                    remedy));
    try {
      // What it needs from its own folder, which the system may not search.
      Path below =
          file.resolveSibling(file.getFileName().toString().replace("cublas.", "cublasLt."));
      if (!below.equals(file) && Files.exists(below)) {
        System.load(below.toAbsolutePath().toString());
      }
      System.load(file.toAbsolutePath().toString());
    } catch (UnsatisfiedLinkError e) {
      throw new ReverieException(
          String.format(Locale.ROOT, "cuda device: %s does not load: %s", label, e.getMessage()),
          remedy,
          e);
    }
    if (!file.getFileName().toString().equals(names.getFirst())) {
      Shim.connect(shim, names.getFirst(), file);
    }
    return file;
  }

  /** The version that the loaded library says it has. */
  public String version() {
    return switch (this) {
      case DRIVER -> driverVersion(Symbols.intBehindPointer("cuDriverGetVersion"));
      case CUBLAS ->
          String.format(
              Locale.ROOT,
              "%d.%d.%d",
              Symbols.intBehindPointer("cublasGetProperty", 0),
              Symbols.intBehindPointer("cublasGetProperty", 1),
              Symbols.intBehindPointer("cublasGetProperty", 2));
      case CUDNN -> cudnnVersion(Symbols.number("cudnnGetVersion"));
    };
  }

  /** As 13.0, of 13000. */
  static String driverVersion(int number) {
    return number / 1000 + "." + number % 1000 / 10;
  }

  /** As 8.9.2, of 8902; and as 9.1.0, of 90100. */
  static String cudnnVersion(long number) {
    long major = number < 10_000 ? 1000 : 10_000;
    return number / major + "." + number % major / 100 + "." + number % 100;
  }
}
