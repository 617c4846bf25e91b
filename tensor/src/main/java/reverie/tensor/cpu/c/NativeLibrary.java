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
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import reverie.tensor.ReverieException;

/**
 * The kernels in C for one set of instructions: packed as a resource, copied to a folder that only
 * this user can read, checked against its digest, loaded, and the copy deleted.
 */
public final class NativeLibrary {
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
  public static boolean isPacked(String set) {
    return NativeLibrary.class.getResource(resource(set)) != null;
  }

  /**
   * Loads the library for a set of instructions.
   *
   * @return null if this processor lacks the instructions
   * @throws ReverieException if the library is damaged or cannot be loaded
   */
  public static NativeLibrary load(String set) {
    try {
      Path folder = Files.createTempDirectory("reverie-kernels");
      try {
        String expected =
            new String(read(resource(set) + ".sha256"), StandardCharsets.US_ASCII).strip();
        Path file = extract(read(resource(set)), expected, folder, resource(set));
        try {
          NativeLibrary library =
              new NativeLibrary(SymbolLookup.libraryLookup(file, Arena.global()));
          return library.isSupported() ? library : null;
        } finally {
          Files.delete(file);
        }
      } finally {
        Files.delete(folder);
      }
    } catch (IOException | IllegalArgumentException | NoSuchAlgorithmException e) {
      throw new ReverieException(
          "native kernels: " + resource(set) + " cannot be loaded: " + e.getMessage(),
          "make the temporary folder writable and executable (-Djava.io.tmpdir=…), or compute"
              + " without native kernels: -Dreverie.kernels=vector",
          e);
    }
  }

  /** Writes a library to a private folder and makes sure that what lies there is what was built. */
  public static Path extract(byte[] content, String expected, Path folder, String name)
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
    MethodHandle supported =
        LINKER.downcallHandle(
            symbols.findOrThrow("reverie_supported"),
            FunctionDescriptor.of(ValueLayout.JAVA_INT),
            Linker.Option.critical(false));
    try {
      return (int) supported.invokeExact() != 0;
    } catch (Throwable e) {
      throw failure(e);
    }
  }

  /** Whether there is a function of this name: some need instructions beyond vectors. */
  public boolean has(String name) {
    return symbols.find("reverie_" + name).isPresent();
  }

  /**
   * A function that returns nothing.
   *
   * @param parameters a letter each: {@code p} address, {@code l} long, {@code i} int, {@code f}
   *     float
   */
  public MethodHandle function(String name, String parameters) {
    MemoryLayout[] layouts =
        parameters
            .chars()
            .mapToObj(letter ->
                switch (letter) {
                  case 'p', 'l' -> ValueLayout.JAVA_LONG;
                  case 'i' -> ValueLayout.JAVA_INT;
                  case 'f' -> ValueLayout.JAVA_FLOAT;
                  default -> throw new IllegalArgumentException(parameters);
                })
            .toArray(MemoryLayout[]::new);
    return LINKER.downcallHandle(
        symbols.findOrThrow("reverie_" + name), FunctionDescriptor.ofVoid(layouts));
  }

  /** What to throw when a call fails, which only a wrong signature can cause. */
  public static IllegalStateException failure(Throwable cause) {
    return new IllegalStateException("a native kernel was called wrongly", cause);
  }
}
