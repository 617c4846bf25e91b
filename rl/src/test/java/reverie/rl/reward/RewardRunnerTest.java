// SPDX-License-Identifier: Apache-2.0
package reverie.rl.reward;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import reverie.rl.prompt.Prompt;
import reverie.tensor.ReverieException;

@Timeout(30)
class RewardRunnerTest {
  private static final Duration LONG = Duration.ofSeconds(20);

  @Test
  void scoresOnItsOwnThreadInOrder() throws InterruptedException {
    var gate = new CountDownLatch(1);
    var thread = new AtomicReference<Thread>();
    Reward reward =
        Reward.named(
            "first pixel",
            batch -> {
              gate.await();
              thread.set(Thread.currentThread());
              return firstPixels(batch);
            });
    try (var runner = new RewardRunner(reward, LONG)) {
      var a = runner.submit(batch(1, 2));
      var b = runner.submit(batch(3));
      assertFalse(a.isDone());
      gate.countDown();
      assertArrayEquals(new double[] {1, 2}, a.await());
      assertArrayEquals(new double[] {3}, b.await());
      assertTrue(b.isDone());
    }
    assertNotEquals(Thread.currentThread(), thread.get());
  }

  @Test
  void aThrowingRewardKeepsItsCauseAndNamesTheBatch() throws InterruptedException {
    var cause = new IllegalStateException("no such model");
    Reward reward =
        Reward.named(
            "picky",
            batch -> {
              if (batch.size() == 2) {
                throw cause;
              }
              return firstPixels(batch);
            });
    try (var runner = new RewardRunner(reward, LONG)) {
      var good = runner.submit(batch(7));
      var bad = runner.submit(batch(1, 2));
      var after = runner.submit(batch(7));
      assertArrayEquals(new double[] {7}, good.await());
      var error = assertThrows(ReverieException.class, bad::await);
      assertSame(cause, error.getCause());
      assertContains(error, "reward picky, batch 1 (2 samples)", "no such model");
      assertSame(error, assertThrows(ReverieException.class, after::await));
      assertSame(
          error, assertThrows(ReverieException.class, () -> runner.submit(batch(7)).await()));
    }
  }

  @Test
  void anErrorThatSaysWhatToDoIsPassedOnAsItIs() {
    var known = new ReverieException("reward bad: no licence", "buy one");
    assertSame(
        known,
        failure(batch -> {
          throw known;
        }));
  }

  @Test
  void aHangingRewardIsInterruptedAndNamed() throws InterruptedException {
    var interrupted = new CountDownLatch(1);
    Reward reward =
        Reward.named(
            "slow",
            batch -> {
              try {
                new CountDownLatch(1).await();
                return null;
              } finally {
                interrupted.countDown();
              }
            });
    try (var runner = new RewardRunner(reward, Duration.ofMillis(50))) {
      var error = assertThrows(ReverieException.class, runner.submit(batch(1))::await);
      assertContains(error, "reward slow, batch 0", "no scores after 0.05 s", "timeout", "flush");
      interrupted.await();
    }
  }

  @Test
  void wrongCountsAndNumbersAreNamed() throws InterruptedException {
    assertContains(failure(batch -> new double[3]), "expected 2 scores, got 3");
    assertContains(failure(batch -> null), "expected 2 scores, got null");
    assertContains(
        failure(batch -> new double[] {1, Double.NaN}), "score of sample 1 is NaN", "prompt \"b\"");
    assertContains(
        failure(batch -> new double[] {Double.POSITIVE_INFINITY, 0}),
        "sample 0 is Infinity",
        "\"a\"");
  }

  @Test
  void errorsOfTheMachineAreCaughtToo() {
    assertContains(
        failure(batch -> {
          throw new StackOverflowError();
        }),
        "threw java.lang.StackOverflowError");
  }

  @Test
  void closingFailsWhatWaitsAndRefusesMore() throws InterruptedException {
    var started = new CountDownLatch(1);
    var runner =
        new RewardRunner(
            Reward.named(
                "endless",
                batch -> {
                  started.countDown();
                  new CountDownLatch(1).await();
                  return null;
                }),
            LONG);
    var scoring = runner.submit(batch(1));
    var waiting = runner.submit(batch(1));
    started.await();
    runner.close();
    assertContains(assertThrows(ReverieException.class, scoring::await), "closed");
    assertContains(assertThrows(ReverieException.class, waiting::await), "closed");
    assertThrows(ReverieException.class, () -> runner.submit(batch(1)));
  }

  @Test
  void weightedSumsAddUpAndCheckTheirTerms() throws Exception {
    Reward first = Reward.named("first", RewardRunnerTest::firstPixels);
    Reward one = Reward.named("one", batch -> new double[] {1, 1});
    var sum =
        new WeightedReward(
            List.of(new WeightedReward.Term(2, first), new WeightedReward.Term(-0.5, one)));
    assertArrayEquals(new double[] {7.5, 9.5}, sum.score(batch(4, 5)));
    assertEquals("2.0*first+-0.5*one", sum.name());
    Reward broken = Reward.named("broken", batch -> new double[1]);
    var bad = new WeightedReward(List.of(new WeightedReward.Term(1, broken)));
    assertContains(
        assertThrows(ReverieException.class, () -> bad.score(batch(4, 5))), "reward broken");
    assertThrows(ReverieException.class, () -> new WeightedReward(List.of()));
  }

  private static ReverieException failure(Reward reward) {
    try (var runner = new RewardRunner(Reward.named("bad", reward), LONG)) {
      return assertThrows(ReverieException.class, runner.submit(batch(1, 2))::await);
    }
  }

  private static void assertContains(ReverieException error, String... parts) {
    for (String part : parts) {
      assertTrue(
          error.getMessage().contains(part), () -> part + " is not in: " + error.getMessage());
    }
  }

  private static double[] firstPixels(RewardBatch batch) {
    double[] scores = new double[batch.size()];
    java.util.Arrays.setAll(scores, i -> batch.images().value(i, 0, 0, 0));
    return scores;
  }

  private static RewardBatch batch(int... pixels) {
    byte[] bytes = new byte[pixels.length];
    List<Prompt> prompts = new java.util.ArrayList<>();
    for (int i = 0; i < pixels.length; i++) {
      bytes[i] = (byte) pixels[i];
      prompts.add(new Prompt(String.valueOf((char) ('a' + i))));
    }
    return new RewardBatch(
        new Images(bytes, pixels.length, 1, 1, 1), new float[pixels.length], prompts);
  }
}
