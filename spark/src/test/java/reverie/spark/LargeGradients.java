// SPDX-License-Identifier: Apache-2.0
package reverie.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.LongSupplier;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import java.util.zip.CRC32;
import org.apache.spark.SparkEnv;
import org.apache.spark.api.java.JavaSparkContext;
import org.junit.jupiter.api.Test;
import reverie.autograd.nn.AxisOrder;
import reverie.autograd.nn.Initialiser;
import reverie.autograd.nn.Parameter;
import reverie.autograd.nn.Parameters;
import reverie.autograd.optim.GradientAccumulator;
import reverie.diffusion.ReversePolicy;
import reverie.diffusion.SchedulerConfig;
import reverie.rl.Policy;
import reverie.rl.learn.Drawing;
import reverie.rl.learn.Fleet;
import reverie.rl.learn.FleetProvider.JobSource;
import reverie.rl.learn.FleetProvider.Opened;
import reverie.rl.learn.LocalFleet;
import reverie.rl.learn.Samples;
import reverie.rl.learn.TrainerSettings;
import reverie.rl.learn.Update;
import reverie.rl.objective.DdpoImportanceSampled;
import reverie.rl.prompt.Prompt;
import reverie.rl.reward.Reward;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * Large gradients are summed to the bits of one machine, and what that costs: the table of
 * docs/scaling.md. It needs many gigabytes and a machine of its own, so it runs when asked for by
 * name; {@code -Dfloats=1000000,100000000} chooses sizes.
 */
class LargeGradients {
  /** Updates are repeated so long, and at least so often; the first half waits for compilers. */
  private static final long NANOS = 20_000_000_000L;

  private static final int REPEATS = 8;

  /** Executors on a core each. */
  private static final int EXECUTORS = Integer.getInteger("executors", 2);

  @Test
  void sumsAreThoseOfOneMachine() {
    String sizes = System.getProperty("floats", "1000000,10000000");
    try (JavaSparkContext spark = Cluster.of(EXECUTORS, memory(), Map.of())) {
      for (String size : sizes.split(",")) {
        measure(spark, Integer.parseInt(size));
      }
    }
  }

  private static String memory() {
    return System.getProperty("memory", "3g");
  }

  private static void measure(JavaSparkContext spark, int floats) {
    LargeJob source = new LargeJob(floats);
    try (Scope _ = Scope.open("driver")) {
      Opened opened = source.open();
      Fleet.Job job = opened.job();
      Rng[] rows = new Rng[EXECUTORS];
      Arrays.setAll(rows, i -> Rng.of(1).fork(i));
      List<Prompt> prompts = Stream.generate(() -> new Prompt("")).limit(EXECUTORS).toList();
      Drawing drawing = new Drawing(prompts, rows, rows, null, null);
      long expected;
      try (Fleet local = new LocalFleet(job)) {
        Samples samples = local.draw(drawing, _ -> {});
        local.differentiate(update(samples), _ -> {});
        expected = checksum(job.gradients().all());
      }
      for (long collected : new long[] {SparkFleet.COLLECTED, 0}) {
        if (collected > 0 && (long) EXECUTORS * floats * Float.BYTES > collected) {
          continue;
        }
        try (Fleet fleet =
            new SparkFleet(
                job, spark, () -> source, job.policy().device().identity(), collected, () -> {})) {
          Samples samples = fleet.draw(drawing, _ -> {});
          fleet.differentiate(update(samples), _ -> {});
          assertEquals(expected, checksum(job.gradients().all()), "other sums");
          Parameter first = job.policy().parameters().trainable().getFirst();
          List<Long> millis = new ArrayList<>();
          long end = System.nanoTime() + NANOS;
          while (millis.size() < REPEATS || System.nanoTime() < end) {
            try (Scope _ = Scope.open("move")) {
              first
                  .value()
                  .slice(0, 0, 1)
                  .assign(Device.cpu().tensor(new float[] {millis.size()}, 1));
            }
            millis.add(millis(() -> fleet.differentiate(nothing(), _ -> {}).size()));
          }
          List<Long> counted = millis.subList(millis.size() / 2, millis.size());
          counted.sort(null);
          System.out.printf(
              Locale.ROOT,
              "%,d floats, %s: median %,d ms (%,d to %,d, %d updates)%n",
              floats,
              collected == 0 ? "scatter" : "collect",
              counted.get(counted.size() / 2),
              counted.getFirst(),
              counted.getLast(),
              counted.size());
          try (Scope _ = Scope.open("back")) {
            first.value().slice(0, 0, 1).assign(Device.cpu().tensor(new float[] {0}, 1));
          }
        }
      }
      opened.parts().close();
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  private static long checksum(Tensor all) {
    CRC32 checksum = new CRC32();
    try (Scope _ = Scope.open("checksum")) {
      int size = all.dim(0);
      for (int from = 0, to; from < size; from = to) {
        to = (int) Math.min(size, from + (1L << 20));
        checksum.update(Bytes.of(List.of(all.slice(0, from, to))));
      }
    }
    return checksum.getValue();
  }

  private static long millis(LongSupplier body) {
    long start = System.nanoTime();
    body.getAsLong();
    return (System.nanoTime() - start) / 1_000_000;
  }

  private static Update update(Samples samples) {
    List<List<Update.Batch>> shards =
        IntStream.range(0, EXECUTORS)
            .mapToObj(i ->
                List.of(
                    new Update.Batch(
                        new int[] {i},
                        new int[] {0},
                        new double[] {samples.logProbs()[i][0]},
                        new double[] {1 + i})))
            .toList();
    return new Update(shards, 1, Rng.of(1), Map.of());
  }

  /** Weights go out and gradients come back, and there is nothing to compute. */
  private static Update nothing() {
    List<List<Update.Batch>> shards =
        IntStream.range(0, EXECUTORS).mapToObj(_ -> List.<Update.Batch>of()).toList();
    return new Update(shards, 1, Rng.of(1), Map.of());
  }

  /** A model of many weights and little work, whose gradient is its weights by a factor. */
  private record LargeJob(int floats) implements JobSource {
    @Override
    public Opened open() {
      pin();
      Parameters parameters = Parameters.random(Device.cpu(), Rng.of(5));
      Parameter all = parameters.create("all", AxisOrder.SAME, Initialiser.normal(1), floats);
      try (Scope _ = Scope.open("first")) {
        all.value().slice(0, 0, 1).assign(Device.cpu().tensor(new float[] {0}, 1));
      }
      ReversePolicy process = ReversePolicy.ddim(SchedulerConfig.stableDiffusion(), 2, 1);
      Policy policy =
          new Policy(process, (x, _, _) -> x.mul(all.value().square().mean()), parameters, 2, 2, 1);
      TrainerSettings settings =
          TrainerSettings.defaults()
              .with(it -> {
                it.promptsPerEpoch(EXECUTORS);
                it.samplesPerPrompt(1);
                it.updatesPerEpoch(1);
                it.shards(EXECUTORS);
              });
      var gradients = new GradientAccumulator(parameters.trainable());
      return new Opened(
          new Fleet.Job(
              policy,
              new DdpoImportanceSampled(),
              Reward.named("none", batch -> new double[batch.size()]),
              settings,
              gradients),
          () -> {
            gradients.close();
            parameters.close();
          });
    }

    /** Each executor to a core of its own. */
    private static void pin() {
      String executor = SparkEnv.get() == null ? "driver" : SparkEnv.get().executorId();
      if (executor.equals("driver")) {
        return;
      }
      try {
        new ProcessBuilder("taskset", "-apc", executor, "" + ProcessHandle.current().pid())
            .start()
            .waitFor();
      } catch (IOException | InterruptedException e) {
        throw new IllegalStateException("taskset is needed", e);
      }
    }
  }
}
