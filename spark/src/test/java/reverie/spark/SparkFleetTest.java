// SPDX-License-Identifier: Apache-2.0
package reverie.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.Function;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import reverie.rl.advantage.GroupAdvantages;
import reverie.rl.learn.Fleet;
import reverie.rl.learn.FleetProvider.Opened;
import reverie.rl.learn.LocalFleet;
import reverie.rl.learn.Trainer;
import reverie.rl.learn.TrainerListener;
import reverie.rl.prompt.PromptSource;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;

/** The whole state of a run on a cluster, byte for byte that of a run on one machine. */
class SparkFleetTest {
  @TempDir Path folder;

  /** Two epochs on one machine, and one on one machine and another on the cluster, both ways. */
  @ParameterizedTest
  @ValueSource(strings = {"prdp", "dpok", "nft"})
  void theBitsAreThoseOfOneMachine(String objective) throws IOException {
    TinyJob job = TinyJob.of(objective);
    Path half = folder.resolve("half");
    Path other = folder.resolve("other half");
    Path expected = folder.resolve("expected");
    Path actual = folder.resolve("actual");
    train(job, LocalFleet::new, null, half);
    train(job, LocalFleet::new, half, expected);
    train(job, spark(job), half, actual);
    assertEquals(-1, Files.mismatch(expected, actual));
    train(job, spark(job), null, other);
    assertEquals(-1, Files.mismatch(half, other));
  }

  /** As kill -9 does it, or a reward that does not run in one place. */
  @ParameterizedTest
  @EnumSource(
      names = {"KILLED_DRAWING", "KILLED_SCORING", "KILLED_DIFFERENTIATING", "REWARD_FAILS_ONCE"})
  void anExecutorThatIsLostLosesNothing(TinyJob.Fault fault) throws IOException {
    TinyJob sound = TinyJob.of("ddpo");
    Path marker = folder.resolve("marker");
    Path expected = folder.resolve("expected");
    Path actual = folder.resolve("actual");
    train(sound, LocalFleet::new, null, expected);
    train(sound, spark(new TinyJob("ddpo", fault, marker.toString())), null, actual);
    assertTrue(Files.exists(marker), "nothing went wrong");
    assertEquals(-1, Files.mismatch(expected, actual));
  }

  @Test
  void aRewardThatFailsEverywhereIsOneError() {
    TinyJob broken = new TinyJob("ddpo", TinyJob.Fault.REWARD_FAILS, "");
    assertRefused("reward brightness: out of order", spark(broken));
  }

  @Test
  void executorsWithOtherKernelsAreRefused() {
    assertRefused(
        "but the driver on cpu, others",
        job ->
            new SparkFleet(
                job, Cluster.spark(), () -> TinyJob.of("ddpo"), "cpu, others", () -> {}));
  }

  private void assertRefused(String part, Function<Fleet.Job, Fleet> fleets) {
    String message =
        assertThrows(
                ReverieException.class,
                () -> train(TinyJob.of("ddpo"), fleets, null, folder.resolve("none")))
            .getMessage();
    assertTrue(message.contains(part), message);
    assertTrue(Files.notExists(folder.resolve("none")));
  }

  private Function<Fleet.Job, Fleet> spark(TinyJob source) {
    return job -> new SparkFleet(job, Cluster.spark(), source);
  }

  /** Trains one epoch from a state, or from the beginning, and writes the state. */
  private static void train(TinyJob source, Function<Fleet.Job, Fleet> fleets, Path from, Path to) {
    try (Run run = new Run(source, fleets)) {
      if (from != null) {
        run.trainer.resume(from);
      }
      run.trainer.run(1);
      run.trainer.save(to);
    }
  }

  /** A trainer with what it needs. */
  private static final class Run implements AutoCloseable {
    private final Scope scope = Scope.open("run");
    private final Opened opened;
    private final Trainer trainer;

    Run(TinyJob source, Function<Fleet.Job, Fleet> fleets) {
      opened = source.open();
      Fleet.Job job = opened.job();
      trainer =
          new Trainer(
              job.policy(),
              job.objective(),
              new GroupAdvantages(),
              PromptSource.of("a cat", "a dog", "owl"),
              job.reward(),
              job.settings(),
              TrainerListener.NONE,
              fleets);
    }

    @Override
    public void close() {
      trainer.close();
      try {
        opened.parts().close();
      } catch (Exception e) {
        throw new IllegalStateException(e);
      }
      scope.close();
    }
  }
}
