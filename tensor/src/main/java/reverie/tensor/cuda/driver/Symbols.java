// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodType;

/** Functions of loaded libraries, for what JCuda does not call. */
final class Symbols {
  private Symbols() {}

  static boolean has(String name) {
    return SymbolLookup.loaderLookup().find(name).isPresent();
  }

  /** A function that returns a status. */
  record Function(String name, MethodHandle handle) {
    static Function of(String name, MemoryLayout... parameters) {
      MethodHandle exact = function(name, FunctionDescriptor.of(JAVA_INT, parameters));
      return new Function(
          name,
          exact
              .asSpreader(Object[].class, parameters.length)
              .asType(MethodType.methodType(int.class, Object[].class)));
    }

    /** The status of a call. */
    int call(Object... arguments) {
      try {
        return (int) handle.invokeExact(arguments);
      } catch (Throwable e) {
        throw failure(name, e);
      }
    }
  }

  static MethodHandle function(String name, FunctionDescriptor type) {
    return Linker.nativeLinker()
        .downcallHandle(SymbolLookup.loaderLookup().findOrThrow(name), type);
  }

  /** Of {@code size_t name(void)}. */
  static long number(String name) {
    try {
      return (long) function(name, FunctionDescriptor.of(JAVA_LONG)).invokeExact();
    } catch (Throwable e) {
      throw failure(name, e);
    }
  }

  /** Of {@code int name(int *value)}: the value. */
  static int intBehindPointer(String name) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment value = arena.allocate(JAVA_INT);
      var type = FunctionDescriptor.of(JAVA_INT, ADDRESS);
      int _ = (int) function(name, type).invokeExact(value);
      return value.get(JAVA_INT, 0);
    } catch (Throwable e) {
      throw failure(name, e);
    }
  }

  /** Of {@code int name(int which, int *value)}: the value. */
  static int intBehindPointer(String name, int which) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment value = arena.allocate(JAVA_INT);
      var type = FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS);
      int _ = (int) function(name, type).invokeExact(which, value);
      return value.get(JAVA_INT, 0);
    } catch (Throwable e) {
      throw failure(name, e);
    }
  }

  /** What to throw when a call fails, which only a wrong signature can cause. */
  static IllegalStateException failure(String name, Throwable cause) {
    return new IllegalStateException(name + " was called wrongly", cause);
  }
}
