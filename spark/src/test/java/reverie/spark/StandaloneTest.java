// SPDX-License-Identifier: Apache-2.0
package reverie.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.apache.spark.SparkConf;
import org.apache.spark.deploy.master.Master;
import org.apache.spark.deploy.worker.Worker;
import org.apache.spark.rpc.RpcEnv;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.rl.learn.LocalFleet;
import scala.Option;

/** A cluster that ends with none of its drivers, which are processes like its executors. */
class StandaloneTest {
  private static final int EPOCHS = 3;
  private static final int PATIENCE_SECONDS = 600;

  @TempDir Path folder;
  private final List<Process> drivers = new ArrayList<>();
  private final List<RpcEnv> daemons = new ArrayList<>();

  @AfterEach
  void stop() throws InterruptedException {
    for (Process driver : drivers) {
      driver.destroyForcibly().waitFor();
    }
    for (RpcEnv daemon : daemons.reversed()) {
      daemon.shutdown();
      daemon.awaitTermination();
    }
  }

  /** One epoch on one worker, then its driver is killed; the rest by another driver on two. */
  @Test
  void aDriverIsKilledAndAWorkerJoins() throws IOException, InterruptedException {
    Path expected = folder.resolve("expected");
    TinyJob job = TinyJob.of("ddpo");
    TinyRun.epoch(job, LocalFleet::new, null, expected);
    for (int epoch = 1; epoch < EPOCHS; epoch++) {
      TinyRun.epoch(job, LocalFleet::new, expected, expected);
    }
    RpcEnv environment = Master.startRpcEnvAndEndpoint("127.0.0.1", 0, 0, new SparkConf())._1();
    daemons.add(environment);
    String master = environment.address().toSparkURL();
    startWorker("first", master);
    Path state = folder.resolve("state");
    Path marks = Files.createDirectory(folder.resolve("marks"));
    Process killed = startDriver("killed", master, state, EPOCHS - 1, marks, 1);
    await(() -> Files.exists(state) || !killed.isAlive());
    assertTrue(Files.exists(state), () -> log("killed"));
    killed.destroyForcibly().waitFor();
    startWorker("second", master);
    Path later = Files.createDirectory(folder.resolve("later marks"));
    Path resumed = Files.copy(state, folder.resolve("resumed"));
    Process driver = startDriver("resumed", master, resumed, EPOCHS, later, 2);
    assertTrue(driver.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS), "the driver does not end");
    assertEquals(0, driver.exitValue(), () -> log("resumed"));
    assertEquals(-1, Files.mismatch(expected, resumed));
    try (Stream<Path> opened = Files.list(later)) {
      assertEquals(2, opened.count(), "executors that took part");
    }
  }

  private Process startDriver(
      String name, String master, Path state, int epochs, Path marks, int executors)
      throws IOException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
        .filter(argument -> argument.startsWith("--"))
        .forEach(command::add);
    command.addAll(List.of("-Xmx600m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp"));
    command.addAll(List.of(System.getProperty("java.class.path"), TinyRun.class.getName()));
    command.addAll(
        List.of(master, state.toString(), "" + epochs, marks.toString(), "" + executors));
    Process driver =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(folder.resolve(name + ".log").toFile())
            .start();
    drivers.add(driver);
    return driver;
  }

  private void startWorker(String name, String master) {
    daemons.add(
        Worker.startRpcEnvAndEndpoint(
            "127.0.0.1",
            0,
            0,
            1,
            600,
            new String[] {master},
            folder.resolve(name + " work").toString(),
            Option.apply(daemons.size()),
            new SparkConf(),
            Option.empty()));
  }

  private String log(String name) {
    try {
      return Files.readString(folder.resolve(name + ".log"));
    } catch (IOException e) {
      return e.toString();
    }
  }

  private void await(BooleanSupplier ready) throws InterruptedException {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
    while (!ready.getAsBoolean()) {
      assertTrue(System.nanoTime() < end, () -> log("killed"));
      Thread.sleep(50);
    }
  }
}
