// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import java.util.Map;
import java.util.TreeMap;
import java.util.function.BiConsumer;
import reverie.tensor.Tensor;
import reverie.tensor.cuda.driver.Pool;

/** A set of addresses, as ranges that do not touch. */
final class Ranges {
  private final TreeMap<Long, Long> ends = new TreeMap<>();

  /** Adds the memory of a contiguous tensor. */
  void add(Tensor tensor) {
    long from = Pool.address(tensor);
    add(from, from + tensor.size() * tensor.dtype().bytes());
  }

  private void add(long from, long to) {
    if (from == to) {
      return;
    }
    long first = from;
    long last = to;
    Map.Entry<Long, Long> other = ends.floorEntry(to);
    while (other != null && other.getValue() >= from) {
      first = Math.min(first, other.getKey());
      last = Math.max(last, other.getValue());
      ends.remove(other.getKey());
      other = ends.floorEntry(to);
    }
    ends.put(first, last);
  }

  /** Whether any of a contiguous tensor's memory is in it. */
  boolean overlaps(Tensor tensor) {
    long from = Pool.address(tensor);
    return overlaps(from, from + tensor.size() * tensor.dtype().bytes());
  }

  /** Whether any of the addresses from one to before another is in it. */
  boolean overlaps(long from, long to) {
    Map.Entry<Long, Long> last = ends.lowerEntry(to);
    return last != null && last.getValue() > from;
  }

  void forEach(BiConsumer<Long, Long> action) {
    ends.forEach(action);
  }
}
