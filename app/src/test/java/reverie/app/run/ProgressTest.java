// SPDX-License-Identifier: Apache-2.0
package reverie.app.run;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class ProgressTest {
  @Test
  void printsPlainLinesAtIntervals() {
    AtomicLong now = new AtomicLong();
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    PrintStream out = new PrintStream(bytes, true, StandardCharsets.UTF_8);
    try (Progress progress = new Progress("pretraining", "steps", 100, 0, out, false, now::get)) {
      for (int step = 0; step < 50; step++) {
        now.addAndGet(500_000_000);
        progress.note("loss 0.5");
        progress.advance(1);
      }
    }
    assertEquals(
        """
        pretraining: 20/100 steps (20%), 10s, 2.00 steps/s, 40s left, loss 0.5
        pretraining: 40/100 steps (40%), 20s, 2.00 steps/s, 30s left, loss 0.5
        pretraining: 50/100 steps (50%), 25s, 2.00 steps/s, 25s left, loss 0.5
        """,
        bytes.toString(StandardCharsets.UTF_8));
  }

  @Test
  void countsOnlyItsOwnWorkForTheRate() {
    AtomicLong now = new AtomicLong();
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    PrintStream out = new PrintStream(bytes, true, StandardCharsets.UTF_8);
    try (Progress progress = new Progress("pretraining", "steps", 100, 90, out, false, now::get)) {
      now.addAndGet(5_000_000_000L);
      progress.advanceTo(95);
    }
    assertEquals(
        "pretraining: 95/100 steps (95%), 5s, 1.00 steps/s, 5s left\n",
        bytes.toString(StandardCharsets.UTF_8));
  }

  @Test
  void showsTimesAsPeopleSayThem() {
    assertEquals("0s", Progress.time(0.2));
    assertEquals("3m07s", Progress.time(187));
    assertEquals("2h03m", Progress.time(7390));
  }
}
