// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import reverie.tensor.cuda.driver.HostDriver;

/**
 * A machine with a device that is no device: libraries under the names of NVIDIA's, compiled from C
 * into a folder, for a JVM of its own. Kernels are those compiled for the processor.
 */
record Standins(Path folder) {
  private static final String COMPILER = "gcc";
  private static final Map<String, byte[]> COMPILED = new ConcurrentHashMap<>();

  /** Whether everything is there: Linux, the compiler, the kernels. */
  static boolean areAvailable() {
    try {
      return HostDriver.isAvailable()
          && System.getProperty("os.name").equals("Linux")
          && run(Path.of("."), Map.of(), List.of(COMPILER, "--version")).status() == 0;
    } catch (IOException | InterruptedException e) {
      return false;
    }
  }

  /** What a process printed, and how it ended. */
  record Result(int status, String output) {}

  /** Puts a library's stand-in into the folder, compiled when it is first asked for. */
  void compile(String library, int version, String... options)
      throws IOException, InterruptedException {
    String name = "lib" + library + ".so." + version;
    String kind = name + String.join(" ", options);
    if (!COMPILED.containsKey(kind)) {
      build(name, library, version, options);
      COMPILED.put(kind, Files.readAllBytes(folder.resolve(name)));
    }
    Files.write(folder.resolve(name), COMPILED.get(kind));
  }

  private void build(String name, String library, int version, String... options)
      throws IOException, InterruptedException {
    for (String source : List.of("standin.h", "cudnn_graph.h", "lib" + library + ".c")) {
      copy(source, folder.resolve(source));
    }
    Path symbols = folder.resolve(name + ".map");
    Files.writeString(symbols, name + " { global: *; };");
    List<String> command =
        new ArrayList<>(
            List.of(COMPILER, "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-O1", "-fPIC"));
    command.addAll(List.of("-shared", "-DVERSION=" + version, "-Wl,-soname," + name, "-o", name));
    command.add("lib" + library + ".c");
    if (!library.equals("cuda")) {
      command.add("-Wl,--version-script=" + symbols);
    }
    command.addAll(List.of(options));
    Result result = run(folder, Map.of(), command);
    if (result.status() != 0) {
      throw new IOException(result.output());
    }
  }

  /** All of them, of these versions. */
  static Standins of(Path folder, int cublas, int cudnn) throws IOException, InterruptedException {
    Standins standins = new Standins(folder);
    standins.compile("cuda", 1);
    standins.compile("cublas", cublas, "-L.", "-l:libcuda.so.1");
    standins.compile("cublasLt", cublas, "-L.", "-l:libcuda.so.1");
    standins.compile("cudnn", cudnn, "-L.", "-l:libcuda.so.1", "-lm");
    if (cudnn > 8) {
      standins.compile("cudnn_ops", cudnn);
    }
    return standins;
  }

  /** Runs a main class of the tests where only these libraries are found. */
  Result java(Class<?> main, String... options) throws IOException, InterruptedException {
    return java(Map.of(), main, options);
  }

  /** The same with more variables in the environment. */
  Result java(Map<String, String> variables, Class<?> main, String... options)
      throws IOException, InterruptedException {
    Path kernels = folder.resolve("kernels.so");
    copy("driver/libreverie-cuda-host.so", kernels);
    // Where nvcc is missing there are none, but the stand-in wants to be given some.
    Path packed = Files.createDirectories(folder.resolve("classes/META-INF/reverie/cuda"));
    Files.writeString(packed.resolve("kernels.fatbin"), "stand-in");
    String classes =
        System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(
        List.of(
            "--add-modules=jdk.incubator.vector",
            "--enable-native-access=ALL-UNNAMED",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Djava.io.tmpdir=" + Files.createDirectories(folder.resolve("temporary"))));
    command.addAll(List.of(options));
    command.addAll(List.of("-cp", folder.resolve("classes") + ":" + classes, main.getName()));
    Map<String, String> environment = new HashMap<>(variables);
    environment.put("LD_LIBRARY_PATH", folder.toString());
    environment.put("STANDIN_KERNELS", kernels.toString());
    return run(folder, environment, command);
  }

  private static void copy(String resource, Path target) throws IOException {
    try (InputStream in = Standins.class.getResourceAsStream(resource)) {
      Files.write(target, in.readAllBytes());
    }
  }

  private static Result run(Path folder, Map<String, String> environment, List<String> command)
      throws IOException, InterruptedException {
    Path output = Files.createTempFile("reverie-standins", ".txt");
    try {
      ProcessBuilder builder =
          new ProcessBuilder(command)
              .directory(folder.toFile())
              .redirectErrorStream(true)
              .redirectOutput(output.toFile());
      builder.environment().putAll(environment);
      Process process = builder.start();
      if (!process.waitFor(3, TimeUnit.MINUTES)) {
        process.destroyForcibly().waitFor();
        throw new IOException(command + " did not end; it printed " + Files.readString(output));
      }
      return new Result(process.exitValue(), Files.readString(output));
    } finally {
      Files.delete(output);
    }
  }
}
