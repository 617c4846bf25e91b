// SPDX-License-Identifier: Apache-2.0
package reverie.rl.reward;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.stream.Collectors;

/** The last that a program wrote to its standard error; memory is bounded however much it is. */
final class Tail {
  private static final int BYTES = 4096;
  private static final int LINES = 10;

  private final byte[] ring = new byte[BYTES];
  private final Thread reader;
  private long written;

  /** Begins to read. */
  Tail(Process process) {
    reader =
        Thread.ofPlatform()
            .daemon()
            .name("standard error of process " + process.pid())
            .start(() -> read(process.getErrorStream()));
  }

  private void read(InputStream errors) {
    byte[] buffer = new byte[BYTES];
    try (errors) {
      for (int count; (count = errors.read(buffer)) >= 0; ) {
        synchronized (this) {
          for (int i = 0; i < count; i++) {
            ring[(int) (written++ % BYTES)] = buffer[i];
          }
        }
      }
    } catch (IOException e) {
      // The program has ended.
    }
  }

  /** Waits a little until everything is read that an ended program wrote. */
  void await() throws InterruptedException {
    reader.join(Duration.ofSeconds(2));
  }

  /** For the end of an error's message; empty if it wrote nothing. */
  synchronized String lastWords() {
    int length = (int) Math.min(written, BYTES);
    byte[] bytes = new byte[length];
    for (int i = 0; i < length; i++) {
      bytes[i] = ring[(int) ((written - length + i) % BYTES)];
    }
    var lines = new String(bytes, StandardCharsets.UTF_8).lines().toList();
    return lines.subList(Math.max(0, lines.size() - LINES), lines.size()).stream()
        .collect(Collectors.joining("\n  ", lines.isEmpty() ? "" : "; it wrote:\n  ", ""));
  }
}
