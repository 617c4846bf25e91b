// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

import java.util.Collection;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import reverie.tensor.ReverieException;

/** Numbers for objects of JCuda's. */
final class Handles<T> {
  private final String what;
  private final AtomicLong last = new AtomicLong();
  private final Map<Long, T> objects = new ConcurrentHashMap<>();

  Handles(String what) {
    this.what = what;
  }

  long add(T object) {
    long handle = last.incrementAndGet();
    objects.put(handle, object);
    return handle;
  }

  T get(long handle) {
    return known(handle, objects.get(handle));
  }

  T remove(long handle) {
    return known(handle, objects.remove(handle));
  }

  Collection<T> all() {
    return objects.values();
  }

  private T known(long handle, T object) {
    if (object == null) {
      throw new ReverieException("cuda device: there is no " + what + " " + handle);
    }
    return object;
  }
}
