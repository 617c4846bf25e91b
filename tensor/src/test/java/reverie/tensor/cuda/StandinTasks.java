// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda;

import java.io.PrintStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.catalog.OpCatalog;
import reverie.tensor.catalog.Sample;
import reverie.tensor.cuda.driver.Connection;
import reverie.tensor.cuda.driver.Driver;
import reverie.tensor.cuda.driver.Precision;
import reverie.tensor.graph.CapturedGraph;
import reverie.tensor.op.Op;

/** What {@link JcudaTest} has done in a JVM that finds only stand-ins of NVIDIA's libraries. */
final class StandinTasks {
  private static final PrintStream OUT = System.out;

  /** Those that use cuBLAS, cuDNN, and one of our kernels. */
  private static final Set<String> OPERATIONS =
      Set.of(
          "matmul",
          "linear",
          "linear_gradients",
          "conv2d",
          "conv2d_input_gradient",
          "conv2d_weight_gradient",
          "add");

  /** Elements of the inputs; the laws of backends look at larger ones. */
  private static final long SMALL = 500;

  private StandinTasks() {}

  /** The first argument names the task. */
  public static void main(String[] arguments) throws InterruptedException {
    for (Cuda.Part part : Cuda.examine()) {
      OUT.println(part);
    }
    if (System.getProperty("tasks") == null) {
      return;
    }
    CudaBackend backend = Cuda.open();
    Device device = new Device(backend);
    OUT.println(device.describe());
    String tasks = System.getProperty("tasks");
    if (tasks.startsWith("attention")) {
      if (tasks.equals("attention")) {
        StandinAttention.agree(device);
      } else {
        StandinAttention.ask(backend);
      }
      backend.attentions().forEach(OUT::println);
      OUT.println("all done");
      return;
    }
    agree(device);
    if (Cuda.precision() == Precision.FLOAT32) {
      capture(device);
      Thread other = new Thread(() -> capture(device));
      other.start();
      other.join();
      large(device);
      reuse(device);
      talk();
    }
    backend.convolutions().forEach(OUT::println);
    OUT.println("temporary folder: " + Arrays.toString(temporary().list()));
    OUT.println("all done");
  }

  private static java.io.File temporary() {
    return new java.io.File(System.getProperty("java.io.tmpdir"));
  }

  private static void agree(Device device) {
    int samples = 0;
    for (Op prototype : OpCatalog.prototypes()) {
      if (OPERATIONS.contains(prototype.name())) {
        for (Sample sample : OpCatalog.entry(prototype).samples()) {
          long size = sample.inputs().stream().mapToLong(x -> x.shape().size()).sum();
          if (size <= SMALL) {
            agree(device, sample);
            samples++;
          }
        }
      }
    }
    OUT.println("samples: " + samples);
  }

  private static void agree(Device device, Sample sample) {
    try (Scope _ = Scope.open("sample")) {
      double[] expected = run(Device.reference(), sample);
      double[] got = run(device, sample);
      for (int i = 0; i < got.length; i++) {
        boolean near =
            Double.compare(expected[i], got[i]) == 0
                || Math.abs(expected[i] - got[i]) <= 1e-4 * (1 + Math.abs(expected[i]));
        if (!near && Cuda.precision() != Precision.BF16) {
          throw new AssertionError(sample + ": expected " + expected[i] + ", got " + got[i]);
        }
      }
    }
  }

  private static double[] run(Device device, Sample sample) {
    return sample.run(device, sample.inputs(device))[0].toDoubles();
  }

  private static void capture(Device device) {
    try (Scope _ = Scope.open("capture")) {
      Tensor x = device.tensor(new float[] {1, 2, 3, 4}, 1, 2, 2, 1);
      Tensor w = device.tensor(new float[] {1, -1, 2, -2, 3, -3, 4, -4, 5}, 3, 3, 1, 1);
      try (CapturedGraph step =
          CapturedGraph.of(device, () -> new Tensor[] {Ops.conv2d(x.add(x), w, null, 1, 1)})) {
        step.run();
        x.assign(new float[] {4, 3, 2, 1});
        step.run();
        float[] replayed = step.outputs().getFirst().toFloats();
        float[] direct = Ops.conv2d(x.add(x), w, null, 1, 1).toFloats();
        if (!Arrays.equals(replayed, direct)) {
          throw new AssertionError(Arrays.toString(replayed) + Arrays.toString(direct));
        }
      }
    }
    OUT.println("captured and replayed");
  }

  /** More than is copied at once from and to an array. */
  private static void large(Device device) {
    float[] values = new float[5_000_011];
    for (int i = 0; i < values.length; i++) {
      values[i] = i;
    }
    try (Scope _ = Scope.open("large")) {
      if (!Arrays.equals(values, device.tensor(values, values.length).toFloats())) {
        throw new AssertionError("a large array came back changed");
      }
    }
    OUT.println("large arrays copied");
  }

  /** A copy to the device is done later; what is copied is what was there when it was asked for. */
  private static void reuse(Device device) {
    try (Scope _ = Scope.open("reuse")) {
      float[] values = new float[1000];
      Tensor[] copies = new Tensor[20];
      for (int i = 0; i < copies.length; i++) {
        Arrays.fill(values, i);
        copies[i] = device.tensor(values, values.length);
      }
      for (int i = 0; i < copies.length; i++) {
        if (copies[i].toFloats()[999] != i) {
          throw new AssertionError("copy " + i + " has what came later");
        }
      }
    }
    OUT.println("copied what was there");
  }

  /** What only a real driver can answer. */
  private static void talk() {
    try (Driver driver = Connection.open(0, false).driver();
        Arena arena = Arena.ofConfined()) {
      OUT.println(driver.properties());
      OUT.println("too much: " + driver.allocate(1L << 40));
      long memory = driver.allocate(1000);
      long free = driver.freeBytes();
      driver.free(memory);
      OUT.println("freed: " + (driver.freeBytes() - free));
      long before = driver.event();
      long after = driver.event();
      driver.mark(before);
      driver.mark(after);
      OUT.println("nanoseconds: " + driver.nanosBetween(before, after));
      driver.destroyEvent(before);
      driver.upload(MemorySegment.ofArray(new float[0]), 0);
      driver.download(0, arena.allocate(0));
      for (Runnable wrong :
          List.<Runnable>of(
              () -> driver.kernel("none"),
              () -> driver.mark(before),
              () -> driver.endCapture(),
              () -> Connection.open(7, false))) {
        try {
          wrong.run();
          OUT.println("not refused");
        } catch (ReverieException e) {
          OUT.println(e.getMessage());
        }
      }
    }
  }
}
