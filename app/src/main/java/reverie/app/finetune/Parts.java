// SPDX-License-Identifier: Apache-2.0
package reverie.app.finetune;

import java.util.ArrayDeque;
import java.util.Deque;

/**
 * What was opened for some work, to be closed in reverse: at its end, or when opening more fails.
 */
final class Parts implements AutoCloseable {
  private final Deque<AutoCloseable> opened = new ArrayDeque<>();

  /** Takes over what was just opened. */
  <T extends AutoCloseable> T opened(T part) {
    opened.push(part);
    return part;
  }

  @Override
  public void close() {
    while (!opened.isEmpty()) {
      try {
        opened.pop().close();
      } catch (RuntimeException e) {
        throw e;
      } catch (Exception e) {
        throw new IllegalStateException(e);
      }
    }
  }
}
