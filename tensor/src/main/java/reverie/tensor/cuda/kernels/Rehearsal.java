// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import java.util.HashSet;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.LongConsumer;
import java.util.stream.LongStream;
import reverie.tensor.cuda.driver.Pool;

/**
 * Makes the first use of everything happen outside a capture: libraries load kernels and allocate
 * memory then, which a capture may not survive. In a rehearsal our kernels are loaded but not
 * launched, and each library call of a kind that was never made is made once, its result written to
 * memory of nobody's.
 */
final class Rehearsal {
  private final Pool pool;
  private final Set<Object> made = new HashSet<>();
  private boolean on;

  Rehearsal(Pool pool) {
    this.pool = pool;
  }

  boolean isOn() {
    return on;
  }

  /** Rehearses what {@code work} does. */
  void of(Runnable work) {
    on = true;
    try {
      work.run();
    } finally {
      on = false;
    }
  }

  /**
   * Makes a library call.
   *
   * @param kind equal for calls that use the same kernels of the library
   * @param bytes of the result
   * @param result where it belongs
   * @param call makes the call with its result at an address
   */
  void call(Object kind, long bytes, long result, LongConsumer call) {
    call(kind, new long[] {bytes}, new long[] {result}, to -> call.accept(to[0]));
  }

  /** Makes a library call that has several results. */
  void call(Object kind, long[] bytes, long[] results, Consumer<long[]> call) {
    if (!on) {
      call.accept(results);
    } else if (!made.contains(kind)) {
      Pool.Block nobodys = pool.allocate(LongStream.of(bytes).map(Space::aligned).sum());
      try {
        call.accept(LongStream.of(bytes).map(new Space(nobodys)::take).toArray());
      } finally {
        pool.release(nobodys);
      }
    }
    made.add(kind);
  }
}
