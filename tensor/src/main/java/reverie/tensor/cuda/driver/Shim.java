// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

import static java.lang.foreign.ValueLayout.ADDRESS;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Locale;
import reverie.tensor.ReverieException;

/**
 * A library of ours under the name of an older one, whose functions jump to those of a newer one
 * ({@code native/cuda/forward}): JCuda asks for cuBLAS 12 and cuDNN 8, and takes what is loaded
 * under these names.
 */
final class Shim {
  private Shim() {}

  /**
   * Loads the shim unless it is loaded, and connects it.
   *
   * @param name of the shim
   * @param wanted the name of the library that it stands for
   * @param file the library to call instead
   */
  static void connect(String name, String wanted, Path file) {
    String resource = Packed.ours("forward-" + name + ".so");
    String connect = "reverie_connect_" + name;
    if (!Packed.has(resource)) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "cuda device: expected %s, found %s; what makes the one of the other was not built",
              wanted,
              file),
          Packed.HINT + "; or install " + wanted);
    }
    if (!Symbols.has(connect)) {
      load(resource);
    }
    String failure = call(connect, file);
    if (failure != null) {
      throw new ReverieException(
          String.format(
              Locale.ROOT, "cuda device: %s cannot stand in for %s: %s", file, wanted, failure),
          "install " + wanted);
    }
  }

  private static void load(String resource) {
    try (PrivateFolder folder = new PrivateFolder()) {
      System.load(folder.extract(resource).toString());
    } catch (IOException | UnsatisfiedLinkError e) {
      throw new ReverieException(
          "cuda device: " + resource + " cannot be loaded: " + e.getMessage(),
          "make the temporary folder writable and executable: -Djava.io.tmpdir=…",
          e);
    }
  }

  private static String call(String connect, Path file) {
    var type = FunctionDescriptor.of(ADDRESS, ADDRESS);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment name = arena.allocateFrom(file.toAbsolutePath().toString());
      MemorySegment answer = (MemorySegment) Symbols.function(connect, type).invokeExact(name);
      return answer.address() == 0 ? null : answer.reinterpret(Long.MAX_VALUE).getString(0);
    } catch (Throwable e) {
      throw Symbols.failure(connect, e);
    }
  }
}
