// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import java.awt.Font;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.lang.Runtime.Version;
import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import jdk.incubator.vector.FloatVector;
import reverie.app.onnx.OnnxLibrary;
import reverie.tensor.cpu.KernelSet;
import reverie.tensor.cuda.Cuda;

/** The doctor's questions, each answered by a {@link Finding}. */
final class Examination {
  private static final long GIB = 1L << 30;

  /** Below it G1 may move pinned objects (JDK-8377811). */
  private static final Version SAFE = Version.parse("25.0.3");

  private Examination() {}

  /** What is found with this Java and these parts of CUDA. */
  static List<Finding> of(Version version, List<Cuda.Part> cuda) {
    boolean g1 =
        ManagementFactory.getGarbageCollectorMXBeans().stream()
            .map(GarbageCollectorMXBean::getName)
            .anyMatch(name -> name.startsWith("G1"));
    return List.of(
        java(version, g1),
        vectorModule(),
        kernels(),
        nativeAccess(),
        threads(Runtime.getRuntime().availableProcessors()),
        memory(),
        disk(),
        fonts(),
        onnxRuntime(),
        cuda(cuda));
  }

  static Finding java(Version version, boolean g1) {
    if (version.feature() < 25) {
      return Finding.problem("Java", version + " is too old", "install JDK 25.0.3 or newer");
    }
    if (version.compareToIgnoreOptional(SAFE) < 0) {
      String state = g1 ? "this process uses it" : "this process uses another collector";
      return Finding.warning(
          "Java",
          version + ": before 25.0.3 the G1 collector can damage data (JDK-8377811); " + state,
          "install JDK 25.0.3 or newer");
    }
    return Finding.ok("Java", version + ", " + System.getProperty("java.vendor"));
  }

  /** Whether the JVM was started with the module of the Vector API. */
  private static boolean hasVectorModule() {
    return ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent();
  }

  private static Finding vectorModule() {
    if (!hasVectorModule()) {
      String hint = "start by ./reverie, or add --add-modules jdk.incubator.vector to java";
      String detail = "the module jdk.incubator.vector is missing";
      return KernelSet.fastest() == KernelSet.VECTOR
          ? Finding.problem("vectors", detail, hint)
          : Finding.ok("vectors", detail + ", and not needed beside kernels in C");
    }
    int bits = Vectors.bits();
    String detail =
        String.format(Locale.ROOT, "%d bits, %d floats at once", bits, bits / Float.SIZE);
    return bits >= 256
        ? Finding.ok("vectors", detail)
        : Finding.warning(
            "vectors", detail, "a processor with AVX2, AVX-512 or SVE is several times faster");
  }

  private static Finding kernels() {
    KernelSet fastest = KernelSet.fastest();
    if (fastest == KernelSet.VECTOR && !hasVectorModule()) {
      return Finding.problem("kernels", "none without the vector module", "see above");
    }
    return fastest == KernelSet.VECTOR
        ? Finding.warning(
            "kernels",
            "Vector API",
            "those in C are several times faster: install gcc and make, and build again")
        : Finding.ok("kernels", "C, " + fastest.label());
  }

  private static Finding nativeAccess() {
    return Examination.class.getModule().isNativeAccessEnabled()
        ? Finding.ok("native access", "allowed")
        : Finding.warning(
            "native access",
            "not allowed, Java will warn",
            "start by ./reverie, or add --enable-native-access=ALL-UNNAMED to java");
  }

  private static Finding threads(int count) {
    return count >= 2
        ? Finding.ok("threads", Integer.toString(count))
        : Finding.warning(
            "threads", "1", "everything is written for several; two are twice as fast");
  }

  private static Finding memory() {
    double heap = (double) Runtime.getRuntime().maxMemory() / GIB;
    double total = totalMemory();
    String detail =
        String.format(Locale.ROOT, "%.1f GiB, of which Java's heap may use %.1f", total, heap);
    if (total < 3) {
      return Finding.warning("memory", detail, "quickstart wants about 3 GiB; use smaller batches");
    }
    return Finding.ok("memory", detail);
  }

  private static double totalMemory() {
    return ManagementFactory.getOperatingSystemMXBean()
            instanceof com.sun.management.OperatingSystemMXBean system
        ? (double) system.getTotalMemorySize() / GIB
        : Double.NaN;
  }

  private static Finding disk() {
    Path here = Path.of("").toAbsolutePath();
    try {
      double free = (double) Files.getFileStore(here).getUsableSpace() / GIB;
      if (!Files.isWritable(here)) {
        return Finding.warning(
            "disk",
            here + " cannot be written to",
            "runs go to ./runs here; choose another by --out");
      }
      return free < 1
          ? Finding.warning(
              "disk", String.format(Locale.ROOT, "%.2f GiB free", free), "runs want up to 1 GiB")
          : Finding.ok("disk", String.format(Locale.ROOT, "%.0f GiB free", free));
    } catch (IOException e) {
      return Finding.warning(
          "disk", "unknown: " + e.getMessage(), "see whether there is 1 GiB free");
    }
  }

  private static Finding fonts() {
    String hint =
        "install fontconfig and a font (Debian: apt install fontconfig fonts-dejavu-core)";
    try {
      BufferedImage image = new BufferedImage(1, 1, BufferedImage.TYPE_INT_RGB);
      var graphics = image.createGraphics();
      int width =
          graphics.getFontMetrics(new Font(Font.SANS_SERIF, Font.PLAIN, 12)).stringWidth("x");
      graphics.dispose();
      return width > 0
          ? Finding.ok("fonts", "captions can be drawn")
          : Finding.warning("fonts", "empty, grids will have no captions", hint);
    } catch (RuntimeException | LinkageError | InternalError e) {
      return Finding.warning("fonts", "none, grids will have no captions", hint);
    }
  }

  private static Finding onnxRuntime() {
    try {
      return Finding.ok("ONNX Runtime", OnnxLibrary.environment().getVersion());
    } catch (RuntimeException | LinkageError e) {
      return Finding.problem(
          "ONNX Runtime",
          "does not load: "
              + Stream.of(String.valueOf(e.getMessage()).split("\n")).findFirst().orElse(""),
          "the text encoder needs it: Linux, macOS or Windows on x64 or arm64, with the C++ runtime library");
    }
  }

  /** No GPU is no problem; one that cannot be used is a loss. */
  static Finding cuda(List<Cuda.Part> parts) {
    Cuda.Part driver = parts.getFirst();
    if (!driver.found()) {
      return Finding.ok("CUDA", "not used: " + driver.detail());
    }
    return parts.stream()
        .filter(part -> !part.found())
        .findFirst()
        .map(part ->
            Finding.warning(
                "CUDA",
                String.format(Locale.ROOT, "not used: %s: %s", part.subject(), part.detail()),
                part.hint()))
        .orElseGet(() -> Finding.ok("CUDA", parts.getLast().detail()));
  }

  /** What a GPU needs, line by line: looked for, found, version, where it is or what is wrong. */
  static String table(List<Cuda.Part> parts) {
    String row = "  %-14s %-6s %-9s %s%n";
    StringBuilder table = new StringBuilder("For an NVIDIA GPU:\n");
    table.append(String.format(Locale.ROOT, row, "looked for", "found", "version", "where"));
    for (Cuda.Part part : parts) {
      String version = part.version().isEmpty() ? "-" : part.version();
      table.append(
          String.format(
              Locale.ROOT,
              row,
              part.subject(),
              part.found() ? "yes" : "no",
              version,
              part.detail()));
      if (!part.hint().isEmpty()) {
        table.append(" ".repeat(34)).append("hint: ").append(part.hint()).append('\n');
      }
    }
    return table.toString();
  }

  /** Loaded only when the module is there. */
  private static final class Vectors {
    private Vectors() {}

    static int bits() {
      return FloatVector.SPECIES_PREFERRED.vectorBitSize();
    }
  }
}
