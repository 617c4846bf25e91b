// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.laws;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Comparator;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.extension.RegisterExtension;
import reverie.tensor.Device;
import reverie.tensor.Interpreter;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.catalog.Arrangement;
import reverie.tensor.catalog.Entry;
import reverie.tensor.catalog.OpCatalog;
import reverie.tensor.catalog.Refusal;
import reverie.tensor.catalog.Sample;
import reverie.tensor.graph.CapturedGraph;
import reverie.tensor.op.Conv2d;
import reverie.tensor.op.Conv2dInputGradient;
import reverie.tensor.op.Conv2dWeightGradient;
import reverie.tensor.op.ElementWise;
import reverie.tensor.op.Fused;
import reverie.tensor.op.Op;
import reverie.tensor.spi.Backend;

/**
 * What every backend must obey, for every operation of the catalogue. A backend adopts the laws in
 * one line:
 *
 * <pre>{@code
 * class CpuBackendLawsTest extends BackendLaws {
 *   CpuBackendLawsTest() {
 *     super(new CpuBackend(1, KernelSet.VECTOR), new CpuBackend(2, KernelSet.VECTOR));
 *   }
 * }
 * }</pre>
 *
 * The reference decomposes fused operations, so agreeing with it is agreeing with the
 * decomposition. All memory that a backend gets is full of NaN and guarded (see {@link
 * PoisonedBackend}).
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
public abstract class BackendLaws {
  /** The property with the names of operations, a regular expression, if not all are wanted. */
  private static final String SELECTION = "reverie.laws";

  private static final int SMALL = 3000;
  private static final int REPETITIONS = 10;

  private final Device reference = Device.reference();
  private final List<Device> devices;
  private final Device device;
  private final double rounding;

  @RegisterExtension final LeakCheck leaks;

  /**
   * Backends that must agree to the last bit, say for one and for two threads; the first is looked
   * at closely.
   */
  protected BackendLaws(Backend... backends) {
    this(0, backends);
  }

  /**
   * Backends that round the factors of products, relative to them by {@code rounding} at most. What
   * has no products is left out of the laws that go through all samples: it is not rounded.
   */
  protected BackendLaws(double rounding, Backend... backends) {
    this.rounding = rounding;
    devices = Stream.of(backends).map(b -> new Device(new PoisonedBackend(b))).toList();
    device = devices.getFirst();
    leaks = new LeakCheck(devices);
  }

  /** One test for each operation, which goes through all its samples. */
  private Stream<DynamicTest> forEachSample(Consumer<Sample> law) {
    return operations()
        .filter(op -> rounding == 0 || Agreement.roundings(op) > 0)
        .map(op ->
            DynamicTest.dynamicTest(
                op.name(),
                () ->
                    assertAll(
                        OpCatalog.entry(op).samples().stream()
                            .map(sample ->
                                () -> {
                                  try (Scope _ = Scope.open("law")) {
                                    law.accept(sample);
                                  }
                                }))));
  }

  private static Stream<Op> operations() {
    String selection = System.getProperty(SELECTION, ".*");
    return OpCatalog.prototypes().stream().filter(op -> op.name().matches(selection));
  }

  /** What differs between layouts is decided by strides, of which small samples have all kinds. */
  private static List<Arrangement> arrangements(Sample sample) {
    return sample.differentiable()
        ? List.of(Arrangement.CONTIGUOUS, Arrangement.TRANSPOSED)
        : List.of(Arrangement.CONTIGUOUS);
  }

  @TestFactory
  Stream<DynamicTest> agreesWithTheReferenceInEveryLayout() {
    return forEachSample(sample -> {
      for (Arrangement arrangement : Arrangement.values()) {
        Agreement.on(sample, arrangement, rounding)
            .check(
                sample + " " + arrangement, sample.run(device, sample.inputs(device, arrangement)));
      }
    });
  }

  @TestFactory
  Stream<DynamicTest> leavesItsInputsAlone() {
    return forEachSample(sample -> {
      for (Arrangement arrangement : arrangements(sample)) {
        Tensor[] inputs = sample.inputs(device, arrangement);
        sample.run(device, inputs);
        Tensor[] fresh = sample.inputs(device, arrangement);
        for (int i = 0; i < inputs.length; i++) {
          Agreement.checkBits(sample + " " + arrangement + ": input " + i, fresh[i], inputs[i]);
        }
      }
    });
  }

  @TestFactory
  Stream<DynamicTest> givesTheSameBitsAgainAndForAnyNumberOfThreads() {
    return forEachSample(sample -> {
      Tensor[] expected = sample.run(device, sample.inputs(device));
      for (Device other : devices) {
        Tensor[] got = sample.run(other, sample.inputs(other));
        for (int i = 0; i < got.length; i++) {
          Agreement.checkBits(sample + ": output " + i, expected[i], got[i]);
        }
      }
    });
  }

  /**
   * A law for kernels in Java: repeats each operation long enough for its loops to be compiled on
   * the way, which must not change a bit.
   */
  protected final Stream<DynamicTest> sameBitsWhenCompiled() {
    return operations()
        .map(op -> DynamicTest.dynamicTest(op.name(), () -> repeat(largest(OpCatalog.entry(op)))));
  }

  private static Sample largest(Entry entry) {
    return entry.samples().stream().max(Comparator.comparingLong(BackendLaws::size)).orElseThrow();
  }

  /** Numbers in all inputs. */
  private static long size(Sample sample) {
    return sample.inputs().stream().mapToLong(x -> x.shape().size()).sum();
  }

  private void repeat(Sample sample) {
    try (Scope _ = Scope.open("law")) {
      Tensor[] inputs = sample.inputs(device);
      Tensor[] expected = sample.run(device, inputs);
      for (int repetition = 0; repetition < REPETITIONS; repetition++) {
        try (Scope _ = Scope.open("repetition")) {
          Tensor[] got = sample.run(device, inputs);
          for (int i = 0; i < got.length; i++) {
            Agreement.checkBits(
                sample + ": output " + i + ", time " + repetition, expected[i], got[i]);
          }
        }
      }
    }
  }

  @TestFactory
  Stream<DynamicTest> writesItsOutputsAndNothingElse() {
    return forEachSample(sample -> {
      Tensor[] inputs = sample.inputs(device);
      Tensor[] expected = sample.run(device, inputs);
      Window[] windows =
          Stream.of(expected).map(t -> new Window(device, t.type())).toArray(Window[]::new);
      Tensor[] targets = Stream.of(windows).map(Window::target).toArray(Tensor[]::new);
      Ops.update(sample.op(), targets, inputs);
      for (int i = 0; i < targets.length; i++) {
        Agreement.checkBits(sample + ": output " + i, expected[i], targets[i]);
        windows[i].checkSurroundings(sample + ": output " + i);
      }
    });
  }

  @TestFactory
  Stream<DynamicTest> updatesInPlaceAsOutOfPlace() {
    return forEachSample(sample -> {
      // Only these are carried out in place by backends; for others inputs are copied, small or
      // large.
      if (!(sample.op() instanceof ElementWise) && !sample.differentiable()) {
        return;
      }
      Tensor[] expected = sample.run(device, sample.inputs(device));
      for (int i = 0; i < sample.inputs().size(); i++) {
        Tensor[] inputs = sample.inputs(device);
        for (int output = 0; output < expected.length; output++) {
          if (!inputs[i].type().equals(expected[output].type())) {
            continue;
          }
          Tensor[] targets =
              Stream.of(expected)
                  .map(t -> new Window(device, t.type()).target())
                  .toArray(Tensor[]::new);
          Tensor[] used = sample.inputs(device);
          targets[output] = used[i];
          Ops.update(sample.op(), targets, used);
          for (int k = 0; k < expected.length; k++) {
            String what =
                "%s: output %d when %d is written over input %d".formatted(sample, k, output, i);
            Agreement.checkBits(what, expected[k], targets[k]);
          }
        }
      }
    });
  }

  @TestFactory
  Stream<DynamicTest> passesOnNanAndInfinityAsTheReference() {
    return forEachSample(sample -> {
      if (size(sample) > SMALL) {
        return;
      }
      for (int i = 0; i < sample.inputs().size(); i++) {
        if (sample.inputs().get(i).index()
            || sample.inputs().get(i).shape().size() == 0
            || i > 0 && isConvolution(sample)) {
          continue;
        }
        for (double bad :
            new double[] {Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY}) {
          Tensor[] expected = sample.run(reference, with(sample, reference, i, bad));
          Tensor[] got = sample.run(device, with(sample, device, i, bad));
          // In a fused operation ∞ − ∞ may arise or not, with the order of its sums.
          boolean exactly = Double.isNaN(bad) || !(sample.op() instanceof Fused);
          Agreement.checkClasses(
              sample + " with " + bad + " in input " + i, exactly, expected, got);
        }
      }
    });
  }

  /** Padding may be left out or multiplied by 0, which differ for an infinite weight. */
  private boolean isConvolution(Sample sample) {
    Op op = sample.op();
    return op instanceof Conv2d
        || op instanceof Conv2dInputGradient
        || op instanceof Conv2dWeightGradient;
  }

  private static Tensor[] with(Sample sample, Device on, int input, double bad) {
    Tensor[] inputs = sample.inputs(on);
    double[] values = inputs[input].toDoubles();
    values[values.length / 2] = bad;
    inputs[input] = on.tensor(values, inputs[input].shape().dims());
    return inputs;
  }

  @TestFactory
  Stream<DynamicTest> refusesWrongUses() {
    return operations()
        .map(op ->
            DynamicTest.dynamicTest(
                op.name(),
                () ->
                    assertAll(
                        OpCatalog.entry(op).refusals().stream()
                            .map(refusal -> () -> refuses(op.name(), refusal)))));
  }

  private void refuses(String name, Refusal refusal) {
    try (Scope _ = Scope.open("law")) {
      Tensor[] inputs =
          refusal.inputs().stream()
              .map(input -> input.tensor(device, Rng.of(1), Arrangement.CONTIGUOUS))
              .toArray(Tensor[]::new);
      ReverieException error =
          assertThrows(
              ReverieException.class,
              () -> Interpreter.current().apply(device, refusal.op().get(), inputs),
              refusal.message());
      String message = error.getMessage();
      assertTrue(message.startsWith(name) || message.startsWith("shape"), message);
      assertTrue(
          message.contains(refusal.message()), message + "\nshould contain: " + refusal.message());
    }
  }

  @TestFactory
  Stream<DynamicTest> replaysACapturedStepToTheSameBits() {
    return forEachSample(sample -> {
      for (Device on : devices) {
        for (Arrangement arrangement : arrangements(sample)) {
          Tensor[] inputs = sample.inputs(on, arrangement);
          try (CapturedGraph step = CapturedGraph.of(on, () -> sample.run(on, inputs))) {
            for (int time = 0; time < 2; time++) {
              step.run();
              String what = sample + " " + arrangement + ", replay " + time;
              Agreement.checkBits(what, List.of(sample.run(on, inputs)), step.outputs());
              change(inputs);
            }
          }
        }
      }
    });
  }

  /** Other values in the same memory, still within the domain of every operation. */
  private static void change(Tensor... inputs) {
    for (Tensor x : inputs) {
      if (x.dtype().isFloating() && x.isContiguous()) {
        x.assign(x.mul(0.75));
      }
    }
  }

  @TestFactory
  Stream<DynamicTest> replaysRandomGraphsToTheSameBits() {
    return RandomGraphLaws.replayToTheSameBits(devices, rounding == 0 ? 60 : 10);
  }

  /** Rounded factors are far from the reference after many operations. */
  @TestFactory
  Stream<DynamicTest> agreesOnRandomGraphs() {
    return RandomGraphLaws.agree(device, rounding == 0 ? 60 : 0);
  }

  @Test
  void worksForSeveralCallersAtOnce() throws Exception {
    Device shared = devices.getLast();
    List<Sample> samples =
        OpCatalog.samples().stream()
            .filter(s -> !s.differentiable() && !s.inputs().isEmpty())
            .limit(60)
            .toList();
    try (ExecutorService callers = Executors.newFixedThreadPool(2)) {
      List<Future<?>> all =
          IntStream.range(0, 2)
              .<Future<?>>mapToObj(_ ->
                  callers.submit(() -> {
                    for (Sample sample : samples) {
                      try (Scope _ = Scope.open("caller")) {
                        Tensor[] once = sample.run(shared, sample.inputs(shared));
                        Tensor[] again = sample.run(shared, sample.inputs(shared));
                        for (int i = 0; i < once.length; i++) {
                          Agreement.checkBits(sample.label(), once[i], again[i]);
                        }
                      }
                    }
                  }))
              .toList();
      for (Future<?> caller : all) {
        caller.get();
      }
    }
  }
}
