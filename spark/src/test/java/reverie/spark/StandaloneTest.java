// SPDX-License-Identifier: Apache-2.0
package reverie.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.rl.learn.LocalFleet;

/** A cluster of processes that ends with none of its drivers: master, workers, drivers. */
class StandaloneTest {
  private static final int EPOCHS = 3;
  private static final int PATIENCE_SECONDS = 600;

  @TempDir Path folder;
  private final List<Process> processes = new ArrayList<>();

  @AfterEach
  void stop() throws InterruptedException {
    for (Process process : processes.reversed()) {
      process.descendants().forEach(ProcessHandle::destroyForcibly);
      process.destroyForcibly().waitFor();
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
    int port;
    try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"))) {
      port = free.getLocalPort();
    }
    String master = "spark://127.0.0.1:" + port;
    start(
        "master",
        "org.apache.spark.deploy.master.Master",
        "--host",
        "127.0.0.1",
        "--port",
        "" + port,
        "--webui-port",
        "0");
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
    return start(
        name,
        TinyRun.class.getName(),
        master,
        state.toString(),
        "" + epochs,
        marks.toString(),
        "" + executors);
  }

  private void startWorker(String name, String master) throws IOException {
    start(
        name,
        "org.apache.spark.deploy.worker.Worker",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--webui-port",
        "0",
        "--cores",
        "1",
        "--memory",
        "600m",
        "--work-dir",
        folder.resolve(name + " work").toString(),
        master);
  }

  private Process start(String name, String main, String... arguments) throws IOException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
        .filter(argument -> argument.startsWith("--"))
        .forEach(command::add);
    command.addAll(List.of("-Xmx600m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp"));
    command.add(System.getProperty("java.class.path"));
    command.add(main);
    command.addAll(List.of(arguments));
    Process process =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(folder.resolve(name + ".log").toFile())
            .start();
    processes.add(process);
    return process;
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
