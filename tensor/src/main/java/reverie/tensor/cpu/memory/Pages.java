// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.memory;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/**
 * Large blocks of memory in large pages, where the system has them to give: a training step walks
 * through hundreds of megabytes, and with pages of 4 KB it waits for the page table all the time.
 *
 * <p>Java's own allocation touches the memory before it can be advised, so this asks the system.
 */
public final class Pages {
  /** Size of a large page on x86-64 and most others. */
  public static final long LARGE = 2L << 20;

  private static final int READ_WRITE = 3;
  private static final int PRIVATE_ANONYMOUS = 0x22;
  private static final int HUGE_PAGES = 14;
  private static final int DISCARD = 4;

  private static final boolean LINUX = System.getProperty("os.name").equals("Linux");

  // Null where the system is not Linux.
  private static final MethodHandle MAP =
      function("mmap", ADDRESS, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG);
  private static final MethodHandle ADVISE =
      function("madvise", JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT);
  private static final MethodHandle UNMAP = function("munmap", JAVA_INT, JAVA_LONG, JAVA_LONG);

  private Pages() {}

  private static MethodHandle function(String name, MemoryLayout result, MemoryLayout... inputs) {
    if (!LINUX) {
      return null;
    }
    Linker linker = Linker.nativeLinker();
    return linker.downcallHandle(
        linker.defaultLookup().findOrThrow(name), FunctionDescriptor.of(result, inputs));
  }

  /** The address of so many bytes, which live as long as the arena. */
  public static long allocate(Arena arena, long bytes) {
    if (!LINUX || bytes < LARGE) {
      return arena.allocate(bytes, 64).address();
    }
    try {
      long mapped = bytes + LARGE;
      long at =
          ((MemorySegment) MAP.invokeExact(0L, mapped, READ_WRITE, PRIVATE_ANONYMOUS, -1, 0L))
              .address();
      if (at == -1) {
        throw new OutOfMemoryError("the system has no " + bytes + " bytes for tensors");
      }
      long aligned = (at + LARGE - 1) / LARGE * LARGE;
      // A refusal leaves small pages.
      int _ = (int) ADVISE.invokeExact(aligned, bytes, HUGE_PAGES);
      MemorySegment.ofAddress(at).reinterpret(mapped, arena, _ -> free(at, mapped));
      return aligned;
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException("a system call was made wrongly", e);
    }
  }

  /** Gives memory that {@link #allocate} gave, and whose values nobody needs, back for a while. */
  static void discard(long at, long bytes) {
    if (!LINUX || bytes < LARGE) {
      return;
    }
    try {
      // A refusal leaves it as it is.
      int _ = (int) ADVISE.invokeExact(at, bytes, DISCARD);
    } catch (Throwable e) {
      throw new IllegalStateException("a system call was made wrongly", e);
    }
  }

  private static void free(long at, long bytes) {
    try {
      int _ = (int) UNMAP.invokeExact(at, bytes);
    } catch (Throwable e) {
      throw new IllegalStateException("a system call was made wrongly", e);
    }
  }
}
