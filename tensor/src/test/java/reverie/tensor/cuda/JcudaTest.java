// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The way to a device through JCuda's own libraries, as it is but for its end: libraries that stand
 * in for NVIDIA's, in a JVM of their own.
 */
@EnabledIf(
    value = "reverie.tensor.cuda.Standins#areAvailable",
    disabledReason = "stand-ins for NVIDIA's libraries need Linux and gcc")
class JcudaTest {
  @TempDir Path folder;

  private Standins.Result run(int cublas, int cudnn, String... options) throws Exception {
    return Standins.of(folder, cublas, cudnn).java(StandinTasks.class, options);
  }

  /** With the versions that JCuda was made for, and through the shims with newer ones. */
  @ParameterizedTest
  @CsvSource({"12, 8", "13, 9"})
  void reachesTheLibraries(int cublas, int cudnn) throws Exception {
    Standins.Result result = run(cublas, cudnn, "-Dtasks=all");
    String output = result.output();
    assertEquals(0, result.status(), output);
    assertTrue(output.contains("/libcublas.so." + cublas + ", version=" + cublas + ".1.2"), output);
    assertTrue(output.contains("/libcudnn.so." + cudnn), output);
    assertTrue(output.contains("cuda, stand-in 0, float32, cuBLAS " + cublas + ".1.2"), output);
    assertEquals(2, count(output, "captured and replayed"), output);
    assertTrue(output.contains("large arrays copied"), output);
    assertTrue(output.contains("copied what was there"), output);
    assertFalse(output.contains("not refused"), output);
    assertFalse(output.contains("with attention"), output);
    checkErrors(output);
    checkPrecision(output, 68, 0, 3);
    assertTrue(output.contains("temporary folder: []"), output);
  }

  private static void checkErrors(String output) {
    for (String line :
        new String[] {
          "Properties[name=stand-in 0, capability=90, multiprocessors=132, bytes=134217728,"
              + " cuda=13000]",
          "too much: 0",
          "freed: 1000",
          "nanoseconds: 1500000",
          "cuda device: finding the kernel none failed: CUDA_ERROR_NOT_FOUND (something else)\n"
              + "hint: the packed kernels are older than the classes: build again",
          "cuda device: ending a graph failed: CUDA_ERROR_INVALID_VALUE (something else)",
          "cuda device: opening device 7 failed: CUDA_ERROR_INVALID_DEVICE (invalid device"
              + " ordinal)\n"
              + "hint: -Dreverie.cuda.device=… counts the devices",
        }) {
      assertTrue(output.contains(line), line + " in " + output);
    }
  }

  @ParameterizedTest
  @CsvSource({"tf32, 77, 0, 1", "bf16, 75, 9, 1"})
  void roundsAsThePrecisionSays(String precision, int sums, int type, int math) throws Exception {
    String output = run(13, 9, "-Dtasks=all", "-Dreverie.precision=" + precision).output();
    checkPrecision(output, sums, type, math);
    int element = precision.equals("bf16") ? 14 : 0;
    String gradients = "product of type %d with sums of type %d and epilogue 512";
    assertTrue(output.contains(gradients.formatted(element, element == 14 ? 68 : sums)), output);
  }

  /** Biases, residuals and sums on the way, as far as cublasLt has them. */
  @ParameterizedTest
  @CsvSource({
    "bias, tf32, false, true",
    "sums, float32, true, false",
    "everything, bf16, false, false"
  })
  void completesProductsOnTheWay(String lacks, String precision, boolean biases, boolean sums)
      throws Exception {
    Standins standins = Standins.of(folder, 13, 9);
    if (lacks.equals("everything")) {
      Files.delete(folder.resolve("libcublasLt.so.13"));
    }
    String output =
        standins
            .java(
                Map.of("STANDIN_CUBLASLT_LACKS", lacks),
                StandinTasks.class,
                "-Dtasks=all",
                "-Dreverie.precision=" + precision)
            .output();
    assertTrue(output.contains("all done"), output);
    assertEquals(biases, output.contains(" and epilogue 4\n"), output);
    assertEquals(biases, output.contains(" and epilogue 4 and residual\n"), output);
    assertEquals(sums, output.contains(" and epilogue 512\n"), output);
    boolean refused = lacks.equals("bias") || lacks.equals("sums");
    assertEquals(refused, output.contains("cublasLt has no algorithm for Product[extra="), output);
    String way = lacks.equals("everything") ? "without" : "with";
    assertTrue(output.contains("cuBLAS 13.1.2 " + way + " cublasLt"), output);
  }

  /** Whatever cuDNN lacks, convolutions agree with the reference, and it is said how. */
  @ParameterizedTest
  @CsvSource({
    "heuristics, float32, 'float32, algorithm 1 (fixed list, without tensor cores)'",
    "heuristics, bf16, 'bf16, algorithm 1 (fixed list, by tensor cores)'",
    "bf16, bf16, 'tf32, algorithm 5 (cuDNN''s heuristics, by tensor cores)'",
    "nothing, tf32, 'one graph, 0.0 MB'",
    "graphs, tf32, 'no graph with the same bits every time (descriptor 4: 9)'",
    "everything, float32, products of unfolded images",
    "everything, bf16, products of unfolded images"
  })
  void takesTheNextBestOfWhatCudnnLacks(String lacks, String precision, String way)
      throws Exception {
    Standins.Result result =
        Standins.of(folder, 13, 9)
            .java(
                Map.of("STANDIN_CUDNN_LACKS", lacks),
                StandinTasks.class,
                "-Dtasks=all",
                "-Dreverie.precision=" + precision);
    String output = result.output();
    assertEquals(0, result.status(), output);
    assertTrue(output.contains("all done"), output);
    assertTrue(output.contains(": " + way), output);
  }

  /** Results and gradients of attention agree, computed by one graph each. */
  @Test
  void computesAttentionByGraphs() throws Exception {
    String output = attention(Standins.of(folder, 13, 9), "nothing", "attention");
    assertTrue(output.contains("backward=false]: one graph"), output);
    assertTrue(output.contains("backward=true]: one graph"), output);
    assertTrue(output.contains("graph with 10 operations"), output);
    assertTrue(output.contains("graph with 17 operations"), output);
  }

  /** What cuDNN lacks of attention is left to our kernels, and it is said why. */
  @ParameterizedTest
  @CsvSource({
    "attention, 9, no graph with the same bits every time (descriptor 15: 9), no graph with",
    "gradients, 9, one graph, no graph with the same bits every time (descriptor 15: 9)",
    "determinism, 9, one graph, no graph with the same bits every time (no engine fits: 0)",
    "functions, 9, no graphs in this cuDNN, no graphs in this cuDNN",
    "graphs of its version, 8, 'not asked for: size, version', 'not asked for: size, version'"
  })
  void leavesAttentionToOurKernelsWhereCudnnLacksIt(
      String lacks, int version, String forward, String backward) throws Exception {
    Standins standins = Standins.of(folder, version + 4, version);
    if (lacks.equals("functions")) {
      standins.compile("cudnn", version, "-L.", "-l:libcuda.so.1", "-DWITHOUT_GRAPHS");
    }
    String output = attention(standins, lacks, "attention asked for");
    assertTrue(output.contains("backward=false]: " + forward), output);
    assertTrue(output.contains("backward=true]: " + backward), output);
  }

  private static String attention(Standins standins, String lacks, String tasks) throws Exception {
    Standins.Result result =
        standins.java(
            Map.of("STANDIN_CUDNN_LACKS", lacks),
            StandinTasks.class,
            "-Dtasks=" + tasks,
            "-Dreverie.precision=bf16",
            "-Dreverie.cuda.attention=cudnn");
    assertEquals(0, result.status(), result.output());
    assertTrue(result.output().contains("all done"), result.output());
    return result.output();
  }

  /** As pip installs them, for the Python of the path, without any variable that names them. */
  @Test
  void findsTheLibrariesOfAVirtualEnvironmentAndWhatTheyOpen() throws Exception {
    Standins standins = Standins.of(folder, 13, 9);
    Path venv = folder.resolve("venv");
    Path packages = venv.resolve("lib/python3.12/site-packages/nvidia");
    Path cublas = Files.createDirectories(packages.resolve("cu13/lib"));
    Path cudnn = Files.createDirectories(packages.resolve("cudnn/lib"));
    for (String name : List.of("libcublas.so.13", "libcublasLt.so.13")) {
      Files.move(folder.resolve(name), cublas.resolve(name));
    }
    for (String name : List.of("libcudnn.so.9", "libcudnn_ops.so.9")) {
      Files.move(folder.resolve(name), cudnn.resolve(name));
    }
    Path bin = Files.createDirectories(venv.resolve("bin"));
    Files.createFile(venv.resolve("pyvenv.cfg"));
    Files.createSymbolicLink(bin.resolve("python3"), Path.of("/bin/sh"));
    Standins.Result result =
        standins.java(Map.of("PATH", bin + ":/usr/bin:/bin"), StandinTasks.class, "-Dtasks=all");
    assertEquals(0, result.status(), result.output());
    assertTrue(result.output().contains(cudnn + "/libcudnn.so.9"), result.output());
    assertTrue(result.output().contains(cublas + "/libcublas.so.13"), result.output());
    assertTrue(result.output().contains("cuBLAS 13.1.2 with cublasLt"), result.output());
    assertTrue(result.output().contains("all done"), result.output());
  }

  private static void checkPrecision(String output, int sums, int type, int math) {
    assertTrue(output.contains("all done"), output);
    int products = count(output, "product of type 0 ");
    assertEquals(products, count(output, "product of type 0 with sums of type " + sums), output);
    // Factors of bfloat16 need no rounding: their sums are ordinary ones.
    int halves = count(output, "product of type 14 ");
    assertEquals(type == 9, halves > 0, output);
    assertTrue(products + halves > 0, output);
    assertEquals(halves, count(output, "product of type 14 with sums of type 68"), output);
    for (int direction = 0; direction < 3; direction++) {
      String convolution = "convolution %d of type %d and stride ".formatted(direction, type);
      if (type == 0) {
        assertEquals(count(output, "convolution " + direction), count(output, convolution), output);
      }
      // The stand-in has none with tensor cores for other strides; for bfloat16 a wider type is
      // next.
      for (int stride = 1; stride <= 2; stride++) {
        if (stride == 2 && type == 9) {
          continue;
        }
        int all = count(output, convolution + stride);
        int expected = stride == 1 ? math : 3;
        assertTrue(all > 0, output);
        assertEquals(all, count(output, convolution + stride + " with math " + expected), output);
      }
    }
  }

  @Test
  void saysWhatIsMissing() throws Exception {
    Standins standins = new Standins(folder);
    standins.compile("cuda", 1);
    Standins.Result result = standins.java(StandinTasks.class);
    assertTrue(
        result.output().contains("Part[subject=cuDNN, found=false, detail=cuDNN"), result.output());
    assertTrue(result.output().contains("hint=install cuDNN 8 or 9"), result.output());
    result = standins.java(StandinTasks.class, "-Dtasks=all");
    assertEquals(1, result.status(), result.output());
    assertTrue(
        result
            .output()
            .contains("ReverieException: cuda device: cuBLAS (libcublas.so.12 or libcublas.so.13)"),
        result.output());
  }

  @Test
  void saysWhatALibraryLacks() throws Exception {
    Standins standins = Standins.of(folder, 13, 9);
    Files.copy(
        folder.resolve("libcuda.so.1"),
        folder.resolve("libcudnn.so.9"),
        StandardCopyOption.REPLACE_EXISTING);
    Standins.Result result = standins.java(StandinTasks.class);
    assertTrue(result.output().contains("cannot stand in for libcudnn.so.8: "), result.output());
    assertTrue(result.output().contains("cudnnConvolutionBackwardData"), result.output());
    assertTrue(result.output().contains("hint=install libcudnn.so.8"), result.output());
  }

  private static int count(String text, String part) {
    return text.split(Pattern.quote(part), -1).length - 1;
  }
}
