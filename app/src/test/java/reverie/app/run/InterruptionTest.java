// SPDX-License-Identifier: Apache-2.0
package reverie.app.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class InterruptionTest {
  @Test
  void theFirstSignalAsksTheSecondEnds() {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    AtomicInteger ended = new AtomicInteger();
    try (Interruption interruption =
        new Interruption(
            new PrintStream(bytes, true, StandardCharsets.UTF_8),
            Duration.ZERO,
            ended::incrementAndGet)) {
      assertFalse(interruption.requested());
      interruption.signalled("INT");
      assertTrue(interruption.requested());
      assertTrue(bytes.toString(StandardCharsets.UTF_8).contains("Press Ctrl-C again"));
      assertEquals(0, ended.get());
      interruption.signalled("INT");
      assertEquals(1, ended.get());
    }
  }

  /** Whoever kills politely sends no second signal that can be caught. */
  @Test
  void aKillEndsAStepThatTakesLong() throws InterruptedException {
    CountDownLatch ended = new CountDownLatch(1);
    PrintStream nowhere =
        new PrintStream(new ByteArrayOutputStream(), true, StandardCharsets.UTF_8);
    try (Interruption interruption =
        new Interruption(nowhere, Duration.ofMillis(20), ended::countDown)) {
      interruption.signalled("TERM");
      assertTrue(interruption.requested());
      ended.await();
    }
  }
}
