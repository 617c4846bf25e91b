// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.Map;
import reverie.tensor.cuda.driver.Driver;

/** Launches kernels of ours by name. */
final class Kernels {
  private final Driver driver;
  private final Rehearsal rehearsal;
  private final Map<String, Long> handles = new HashMap<>();

  /** Where the driver reads arguments: one launch comes after the other. */
  private final MemorySegment struct = Arena.ofAuto().allocate(Arguments.MAX_BYTES, 16);

  Kernels(Driver driver, Rehearsal rehearsal) {
    this.driver = driver;
    this.rehearsal = rehearsal;
  }

  /** Launches so many blocks; nothing if there are none, and in a rehearsal. */
  void launch(String kernel, long blocks, Arguments arguments) {
    if (blocks > 0) {
      long handle = handles.computeIfAbsent(kernel, driver::kernel);
      if (rehearsal.isOn()) {
        return;
      }
      MemorySegment packed = arguments.packed();
      MemorySegment own = struct.asSlice(0, packed.byteSize());
      driver.launch(handle, Math.toIntExact(blocks), own.copyFrom(packed), arguments.work());
    }
  }

  /** As many blocks as give each thread one of so many pieces of work, but no more than pay. */
  long blocks(long pieces) {
    long wanted = (pieces + Driver.THREADS - 1) / Driver.THREADS;
    return Math.min(wanted, 32L * driver.properties().multiprocessors());
  }
}
