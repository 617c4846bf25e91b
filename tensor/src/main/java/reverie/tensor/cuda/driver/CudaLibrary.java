// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
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
      List.of(),
      "install NVIDIA's driver until nvidia-smi lists the device; start a container with --gpus"
          + " all"),
  /** Matrix products; JCuda wants version 12. */
  CUBLAS(
      "cuBLAS",
      "cublas",
      List.of("libcublas.so.12", "libcublas.so.13"),
      List.of("libnvrtc.so.", "libcublasLt.so."),
      "install CUDA's toolkit 12 or 13, or: pip install nvidia-cublas"),
  /** Convolutions; JCudnn wants version 8. */
  CUDNN(
      "cuDNN",
      "cudnn",
      List.of("libcudnn.so.8", "libcudnn.so.9"),
      List.of("libcudnn_*.so."),
      "install cuDNN 8 or 9 (Debian: apt install libcudnn9-cuda-12), or: pip install"
          + " nvidia-cudnn-cu13");

  private final String label;
  private final String shim;
  private final List<String> names;
  private final List<String> companions;
  private final String remedy;

  CudaLibrary(
      String label, String shim, List<String> names, List<String> companions, String remedy) {
    this.label = label;
    this.shim = shim;
    this.names = names;
    this.companions = companions;
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
      loadCompanions(file, folders);
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

  /**
   * Loads the libraries that this one opens by name when it needs them: once they are loaded, they
   * are found in whatever folder they are. Those that do not load are left to the library itself.
   */
  private void loadCompanions(Path file, List<Path> folders) {
    String version = file.getFileName().toString().replaceFirst(".*\\.so\\.", "");
    List<Path> searched = new ArrayList<>(List.of(file.toAbsolutePath().getParent()));
    searched.addAll(folders);
    List<Path> waiting = new ArrayList<>();
    for (String companion : companions) {
      searched.stream()
          .map(folder -> CudaLibraries.matches(folder, companion + version))
          .filter(found -> !found.isEmpty())
          .findFirst()
          .ifPresent(waiting::addAll);
    }
    // They need each other, in an order that differs from version to version.
    while (waiting.removeIf(CudaLibrary::loads)) {
      continue;
    }
  }

  private static boolean loads(Path library) {
    try {
      System.load(library.toAbsolutePath().toString());
      return true;
    } catch (UnsatisfiedLinkError e) {
      return false;
    }
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
