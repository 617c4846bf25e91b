// SPDX-License-Identifier: Apache-2.0
package reverie.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.Set;
import java.util.function.Function;
import org.apache.spark.api.java.JavaSparkStatusTracker;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import reverie.rl.learn.Fleet;
import reverie.rl.learn.LocalFleet;
import reverie.tensor.ReverieException;

/** The whole state of a run on a cluster, byte for byte that of a run on one machine. */
class SparkFleetTest {
  @TempDir Path folder;

  /** Two epochs on one machine, and one on one machine and another on the cluster, both ways. */
  @ParameterizedTest
  @ValueSource(strings = {"prdp adapters", "dpok", "nft"})
  void theBitsAreThoseOfOneMachine(String objective) throws IOException {
    TinyJob job = TinyJob.of(objective);
    Path half = folder.resolve("half");
    Path other = folder.resolve("other half");
    Path expected = folder.resolve("expected");
    Path actual = folder.resolve("actual");
    TinyRun.epoch(job, LocalFleet::new, null, half);
    TinyRun.epoch(job, LocalFleet::new, half, expected);
    TinyRun.epoch(job, spark(job), half, actual);
    assertEquals(-1, Files.mismatch(expected, actual));
    TinyRun.epoch(job, scattering(job), null, other);
    TinyRun.epoch(job, LocalFleet::new, other, actual);
    assertEquals(-1, Files.mismatch(expected, actual));
  }

  /** As kill -9 does it, and a reward that does not run in one place, all in one run. */
  @Test
  void executorsThatAreLostLoseNothing() throws IOException {
    assertSurvives(
        EnumSet.complementOf(EnumSet.of(TinyJob.Fault.REWARD_FAILS, TinyJob.Fault.DISK_FULL)));
  }

  /** Nothing can be done there from then on; all goes to the other, and the first is removed. */
  @Test
  void anExecutorWhoseDiskIsFullIsLeft() throws IOException {
    int before = failedTasks();
    assertSurvives(Set.of(TinyJob.Fault.DISK_FULL));
    assertTrue(failedTasks() > before, "nothing was written to the disk");
    String full = Files.readString(folder.resolve(TinyJob.Fault.DISK_FULL.name()));
    ProcessHandle.of(Long.parseLong(full)).ifPresent(ProcessHandle::destroyForcibly);
  }

  private static int failedTasks() {
    JavaSparkStatusTracker tracker = Cluster.spark().statusTracker();
    return Arrays.stream(tracker.getJobIdsForGroup(null))
        .flatMap(job -> Arrays.stream(tracker.getJobInfo(job).stageIds()))
        .map(stage -> tracker.getStageInfo(stage).numFailedTasks())
        .sum();
  }

  private void assertSurvives(Set<TinyJob.Fault> faults) throws IOException {
    Path expected = folder.resolve("expected");
    Path actual = folder.resolve("actual");
    TinyRun.epoch(TinyJob.of("ddpo"), LocalFleet::new, null, expected);
    TinyRun.epoch(
        TinyJob.of("ddpo"), spark(new TinyJob("ddpo", faults, folder.toString())), null, actual);
    for (TinyJob.Fault fault : faults) {
      assertTrue(Files.exists(folder.resolve(fault.name())), fault + " did not happen");
    }
    assertEquals(-1, Files.mismatch(expected, actual));
  }

  @Test
  void aRewardThatFailsEverywhereIsOneError() {
    Set<TinyJob.Fault> faults = Set.of(TinyJob.Fault.REWARD_FAILS);
    assertRefused("reward brightness: out of order", spark(new TinyJob("ddpo", faults, "")));
  }

  @Test
  void executorsWithOtherKernelsAreRefused() {
    assertRefused(
        "but the driver on cpu, others",
        job ->
            new SparkFleet(
                job,
                Cluster.spark(),
                () -> TinyJob.of("ddpo"),
                "cpu, others",
                SparkFleet.COLLECTED,
                () -> {}));
  }

  private void assertRefused(String part, Function<Fleet.Job, Fleet> fleets) {
    String message =
        assertThrows(
                ReverieException.class,
                () -> TinyRun.epoch(TinyJob.of("ddpo"), fleets, null, folder.resolve("none")))
            .getMessage();
    assertTrue(message.contains(part), message);
    assertTrue(Files.notExists(folder.resolve("none")));
  }

  /** Adds up gradients on executors, as it does with large ones. */
  private Function<Fleet.Job, Fleet> scattering(TinyJob source) {
    return job ->
        new SparkFleet(
            job, Cluster.spark(), () -> source, job.policy().device().identity(), 0, () -> {});
  }

  private Function<Fleet.Job, Fleet> spark(TinyJob source) {
    return job -> new SparkFleet(job, Cluster.spark(), source);
  }
}
