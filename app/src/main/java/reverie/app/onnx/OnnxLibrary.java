// SPDX-License-Identifier: Apache-2.0
package reverie.app.onnx;

import ai.onnxruntime.OrtEnvironment;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Locale;
import reverie.tensor.ReverieException;
import reverie.tensor.io.TemporaryFolder;

/**
 * Loads the library of ONNX Runtime from a private folder that is gone afterwards. Left to itself
 * ONNX Runtime leaves an empty folder in the temporary one at every start, and cannot start where
 * that one is full or forbids execution; it reports its use to its makers, and while it prepares
 * that, a long command line overflows its stack.
 */
public final class OnnxLibrary {
  private static final String NO_TELEMETRY = "ORT_DISABLE_TELEMETRY";
  private static final String PLACE = "onnxruntime.native.path";
  private static final List<String> FILES = List.of("libonnxruntime.so", "libonnxruntime4j_jni.so");

  private static final String ANOTHER_FOLDER =
      "free some space, or name a folder that allows execution by"
          + " REVERIE_JAVA_OPTS=-Djava.io.tmpdir=FOLDER";

  private static OrtEnvironment environment;

  private OnnxLibrary() {}

  /**
   * The environment, loaded at the first call.
   *
   * @return what sessions are made in
   * @throws ReverieException if the library cannot be copied to any folder that allows execution
   */
  public static synchronized OrtEnvironment environment() {
    if (environment == null) {
      environment = open();
    }
    return environment;
  }

  private static OrtEnvironment open() {
    forbidTelemetry();
    String system = System.getProperty("os.name").toLowerCase(Locale.ROOT);
    if (!system.contains("linux") || System.getProperty(PLACE) != null) {
      return OrtEnvironment.getEnvironment();
    }
    IOException first = null;
    for (Path parent : TemporaryFolder.parentsForLibraries()) {
      try {
        return load(parent);
      } catch (IOException e) {
        first = first == null ? e : first;
      }
    }
    throw new ReverieException(
        "ONNX Runtime cannot be copied to a folder: " + first.getMessage(), ANOTHER_FOLDER, first);
  }

  /** Only a variable of the process is heeded, and Java can set those for children only. */
  private static void forbidTelemetry() {
    Linker linker = Linker.nativeLinker();
    MemorySegment function = linker.defaultLookup().find("setenv").orElse(null);
    if (function == null || System.getenv(NO_TELEMETRY) != null) {
      return;
    }
    var setenv =
        linker.downcallHandle(
            function,
            FunctionDescriptor.of(
                ValueLayout.JAVA_INT,
                ValueLayout.ADDRESS,
                ValueLayout.ADDRESS,
                ValueLayout.JAVA_INT));
    try (Arena arena = Arena.ofConfined()) {
      int _ =
          (int) setenv.invokeExact(arena.allocateFrom(NO_TELEMETRY), arena.allocateFrom("1"), 0);
    } catch (Throwable e) {
      throw new AssertionError("setenv throws nothing", e);
    }
  }

  private static OrtEnvironment load(Path parent) throws IOException {
    String machine = System.getProperty("os.arch").equals("aarch64") ? "aarch64" : "x64";
    // What is loaded stays so without its file.
    try (TemporaryFolder folder = TemporaryFolder.in(parent, "reverie-onnx")) {
      for (String name : FILES) {
        Path file = folder.path().resolve(name);
        String resource = "/ai/onnxruntime/native/linux-" + machine + "/" + name;
        try (InputStream in = OrtEnvironment.class.getResourceAsStream(resource)) {
          if (in == null) {
            throw new FileNotFoundException("resource " + resource + " is missing");
          }
          Files.copy(in, file);
        }
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwx------"));
        if (!Files.isExecutable(file)) {
          throw new IOException(parent + " forbids execution");
        }
      }
      System.setProperty(PLACE, folder.path().toString());
      try {
        return OrtEnvironment.getEnvironment();
      } catch (ExceptionInInitializerError e) {
        // It makes a folder of its own too, in the usual place.
        Throwable cause = e.getCause();
        while (cause.getCause() != null) {
          cause = cause.getCause();
        }
        throw new ReverieException("ONNX Runtime cannot be loaded: " + cause, ANOTHER_FOLDER, e);
      } finally {
        System.clearProperty(PLACE);
      }
    }
  }
}
