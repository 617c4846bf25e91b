// SPDX-License-Identifier: Apache-2.0
package reverie.autograd;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import reverie.tensor.Device;
import reverie.tensor.Interpreter;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;
import reverie.tensor.debug.Shadow;
import reverie.tensor.graph.CapturedGraph;
import reverie.tensor.spi.HostKernel;

/** The worked example of docs/adding-an-operation.md: x/(1+|x|) with a kernel and a gradient. */
class CustomOpTest {
  private static final AtomicInteger KERNEL_RUNS = new AtomicInteger();
  private static final AtomicInteger RULE_USES = new AtomicInteger();

  // example: custom operation
  /** Softsign, {@code x/(1+|x|)}. */
  record Softsign() implements CustomGradient {
    @Override
    public List<TensorType> infer(List<TensorType> inputs) {
      if (inputs.size() != 1 || !inputs.getFirst().dtype().isFloating()) {
        throw new ReverieException("softsign: expected one floating-point input, got " + inputs);
      }
      return inputs;
    }

    @Override
    public Tensor[] decompose(Tensor... in) {
      return new Tensor[] {in[0].div(in[0].abs().add(1))};
    }

    @Override
    public Optional<HostKernel> kernel(List<TensorType> inputs) {
      return Optional.of(Softsign::run);
    }

    private static void run(int task, MemorySegment[] in, MemorySegment[] out) {
      KERNEL_RUNS.incrementAndGet();
      for (long i = 0; i < out[0].byteSize() / 4; i++) {
        float x = in[0].getAtIndex(JAVA_FLOAT, i);
        out[0].setAtIndex(JAVA_FLOAT, i, x / (1 + Math.abs(x)));
      }
    }

    @Override
    public Tensor[] pullback(Tensor[] in, Tensor[] out, Tensor[] g) {
      RULE_USES.incrementAndGet();
      return new Tensor[] {g[0].div(in[0].abs().add(1).square())};
    }
  }

  // end of example

  private static Tensor softsign(Tensor x) {
    return Ops.apply(new Softsign(), x);
  }

  @Test
  void theRuleIsTheGradient() {
    try (Scope _ = Scope.open("test")) {
      Tensor x = Device.reference().tensor(new double[] {-2, -0.5, 0.3, 4}, 4);
      int before = RULE_USES.get();
      GradCheck.of(in -> new Tensor[] {softsign(in[0])}).check(x).require(1e-8);
      assertEquals(before + 1, RULE_USES.get());
      // The rule itself is differentiable.
      GradCheck.of(in -> Tape.pullback(() -> new Tensor[] {softsign(in[0])}, in, in))
          .check(x)
          .require(1e-8);
    }
  }

  @Test
  void theKernelRunsOnTheProcessorAndGivesTheDefinition() {
    try (Scope _ = Scope.open("test")) {
      Tensor x = Rng.of(1).normal(Device.cpu(), 7, 5);
      int before = KERNEL_RUNS.get();
      Shadow shadow = new Shadow(Interpreter.current(), 1e-6);
      float[] y = Interpreter.with(shadow, () -> softsign(x.transpose()).toFloats());
      assertTrue(KERNEL_RUNS.get() > before, "the kernel did not run");
      try (CapturedGraph graph =
          CapturedGraph.of(Device.cpu(), () -> new Tensor[] {softsign(x.transpose())})) {
        graph.run();
        assertArrayEquals(y, graph.outputs().getFirst().toFloats());
        x.assign(x.mul(2));
        graph.run();
        assertArrayEquals(
            softsign(x.transpose()).toFloats(), graph.outputs().getFirst().toFloats());
      }
    }
  }

  @Test
  void wrongInputsAreRefused() {
    try (Scope _ = Scope.open("test")) {
      Tensor x = Device.cpu().indices(new int[] {1}, 1);
      assertThrows(ReverieException.class, () -> softsign(x));
    }
  }
}
