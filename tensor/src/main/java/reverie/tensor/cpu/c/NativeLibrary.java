// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.c;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandleProxies;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import reverie.tensor.ReverieException;
import reverie.tensor.io.TemporaryFolder;

/**
 * The kernels in C for one set of instructions: packed as a resource, copied to a folder that only
 * this user can read, checked against its digest, loaded, and the copy deleted.
 */
final class NativeLibrary {
  private static final Linker LINKER = Linker.nativeLinker();

  private final SymbolLookup symbols;

  private NativeLibrary(SymbolLookup symbols) {
    this.symbols = symbols;
  }

  /** The resource of a set of instructions. */
  private static String resource(String set) {
    return "libreverie-" + set + ".so";
  }

  /** Whether a library for this set was built and packed. */
  static boolean isPacked(String set) {
    return NativeLibrary.class.getResource(resource(set)) != null;
  }

  /**
   * Loads the library for a set of instructions.
   *
   * @return null if this processor lacks the instructions
   * @throws ReverieException if the library is damaged or cannot be loaded
   */
  static NativeLibrary load(String set) {
    Exception first = null;
    for (Path parent : TemporaryFolder.parentsForLibraries()) {
      try {
        NativeLibrary library = load(set, parent);
        return library.isSupported() ? library : null;
      } catch (IOException | IllegalArgumentException | NoSuchAlgorithmException e) {
        first = first == null ? e : first;
      }
    }
    throw new ReverieException(
        "native kernels: " + resource(set) + " cannot be loaded: " + first.getMessage(),
        "make the temporary folder writable and executable (-Djava.io.tmpdir=…), or compute"
            + " without native kernels: -Dreverie.kernels=vector",
        first);
  }

  private static NativeLibrary load(String set, Path parent)
      throws IOException, NoSuchAlgorithmException {
    try (TemporaryFolder folder = TemporaryFolder.in(parent, "reverie-kernels")) {
      String expected =
          new String(read(resource(set) + ".sha256"), StandardCharsets.US_ASCII).strip();
      Path file = extract(read(resource(set)), expected, folder.path(), resource(set));
      return new NativeLibrary(SymbolLookup.libraryLookup(file, Arena.global()));
    }
  }

  /** Writes a library to a private folder and makes sure that what lies there is what was built. */
  static Path extract(byte[] content, String expected, Path folder, String name)
      throws IOException, NoSuchAlgorithmException {
    Path file = Files.write(folder.resolve(name), content);
    byte[] digest = MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(file));
    String found = HexFormat.of().formatHex(digest);
    if (!found.equals(expected)) {
      Files.delete(file);
      throw new ReverieException(
          "native kernels: expected digest " + expected + " of " + name + ", got " + found,
          "build again, or compute without them: -Dreverie.kernels=vector");
    }
    return file;
  }

  private static byte[] read(String name) throws IOException {
    try (InputStream in = NativeLibrary.class.getResourceAsStream(name)) {
      if (in == null) {
        throw new IOException("resource " + name + " is missing");
      }
      return in.readAllBytes();
    }
  }

  private boolean isSupported() {
    return function("supported", Supported.class).run() != 0;
  }

  /** Whether the processor has all instructions that a library was compiled for. */
  public interface Supported {
    int run();
  }

  /** Whether there is a function of this name: some need instructions beyond vectors. */
  boolean has(String name) {
    return symbols.find("reverie_" + name).isPresent();
  }

  /** A function of C as an interface, whose only method says what parameters it takes. */
  <F> F function(String name, Class<F> type) {
    Method method = type.getMethods()[0];
    MemoryLayout[] parameters =
        Arrays.stream(method.getParameterTypes())
            .map(NativeLibrary::layout)
            .toArray(MemoryLayout[]::new);
    FunctionDescriptor descriptor =
        method.getReturnType() == void.class
            ? FunctionDescriptor.ofVoid(parameters)
            : FunctionDescriptor.of(layout(method.getReturnType()), parameters);
    return MethodHandleProxies.asInterfaceInstance(
        type, LINKER.downcallHandle(symbols.findOrThrow("reverie_" + name), descriptor));
  }

  private static MemoryLayout layout(Class<?> type) {
    if (type == long.class) {
      return ValueLayout.JAVA_LONG;
    }
    if (type == int.class) {
      return ValueLayout.JAVA_INT;
    }
    if (type == float.class) {
      return ValueLayout.JAVA_FLOAT;
    }
    if (type == double.class) {
      return ValueLayout.JAVA_DOUBLE;
    }
    throw new IllegalArgumentException("no parameter of C: " + type);
  }
}
