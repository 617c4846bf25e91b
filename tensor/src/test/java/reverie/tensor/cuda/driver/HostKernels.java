// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Optional;
import reverie.tensor.ReverieException;

/** The kernels as the build compiled them for the processor. */
final class HostKernels {
  private static final String LIBRARY = "libreverie-cuda-host.so";

  private final SymbolLookup library;

  /** Loads them; none where there was no compiler: memory, streams and events need none. */
  HostKernels(Arena arena) {
    if (!areAvailable()) {
      library = _ -> Optional.empty();
      return;
    }
    try (InputStream packed = HostKernels.class.getResourceAsStream(LIBRARY)) {
      Path file = Files.createTempFile("reverie-kernels", ".so");
      try {
        Files.copy(packed, file, StandardCopyOption.REPLACE_EXISTING);
        library = SymbolLookup.libraryLookup(file, arena);
      } finally {
        Files.delete(file);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static boolean areAvailable() {
    return HostKernels.class.getResource(LIBRARY) != null;
  }

  /** A kernel that runs at once. */
  record Kernel(String name, MethodHandle function) {
    void run(MemorySegment arguments, int blocks) {
      MemorySegment mistake;
      try {
        mistake = (MemorySegment) function.invokeExact(arguments, blocks);
      } catch (Throwable e) {
        throw new AssertionError(e);
      }
      if (mistake.address() != 0) {
        throw new AssertionError(name + ": " + mistake.reinterpret(Long.MAX_VALUE).getString(0));
      }
    }
  }

  Kernel kernel(String name) {
    FunctionDescriptor type =
        FunctionDescriptor.of(ValueLayout.ADDRESS, ValueLayout.ADDRESS, ValueLayout.JAVA_INT);
    return new Kernel(name, function(name, type));
  }

  /** Has what this thread runs from now on begin with one of four orders. */
  void order(int order) {
    MethodHandle begin = function("order", FunctionDescriptor.ofVoid(ValueLayout.JAVA_INT));
    try {
      begin.invokeExact(order);
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }

  private MethodHandle function(String name, FunctionDescriptor type) {
    MemorySegment symbol =
        library
            .find("reverie_" + name)
            .orElseThrow(() -> new ReverieException("cuda device: there is no kernel " + name));
    return Linker.nativeLinker().downcallHandle(symbol, type);
  }
}
