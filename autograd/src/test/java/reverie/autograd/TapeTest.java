// SPDX-License-Identifier: Apache-2.0
package reverie.autograd;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

class TapeTest {
  private static final Device DEVICE = Device.reference();
  private Scope scope;

  @BeforeEach
  void open() {
    scope = Scope.open("test");
  }

  @AfterEach
  void close() {
    scope.close();
  }

  @Test
  void differentiatesALinearRegression() {
    Tensor x = DEVICE.tensor(new double[] {1, 2, 3, 4}, 2, 2);
    Tensor w = DEVICE.tensor(new double[] {1, -1}, 2, 1);
    Tensor y = DEVICE.tensor(new double[] {0, 1}, 2, 1);
    Tape.Result r = Tape.run(List.of(w), () -> Ops.mse(x.matmul(w), y));
    // Residuals are −1 and −2: the loss is 2.5 and its gradient xᵀ·residuals.
    assertEquals(2.5, r.loss().item(), 1e-12);
    assertArrayEquals(new double[] {-7, -10}, r.gradient(w).toDoubles(), 1e-12);
  }

  @Test
  void addsUpEveryUseOfATensorAndUndoesBroadcasting() {
    Tensor a = DEVICE.tensor(new double[] {2, 3}, 2);
    Tensor b = DEVICE.tensor(new double[] {10, 20, 30, 40}, 2, 2);
    Tape.Result r = Tape.run(List.of(a), () -> a.mul(b).add(a).mul(a).sum());
    // Σ over rows of (b·a + a)·a: derivative 2a(b+1) summed over the rows.
    assertArrayEquals(
        new double[] {2 * 2 * (11 + 31), 2 * 3 * (21 + 41)}, r.gradient(a).toDoubles(), 1e-12);
  }

  @Test
  void addsUpBothSidesOfOneOperation() {
    Tensor a = DEVICE.tensor(new double[] {2, 3}, 2);
    Tape.Result r = Tape.run(List.of(a), () -> a.mul(a).add(a.div(a)).sum());
    assertArrayEquals(new double[] {4, 6}, r.gradient(a).toDoubles(), 1e-12);
  }

  @Test
  void addsUpTheCotangentsOfAnOutputThatIsGivenTwice() {
    Tensor x = DEVICE.tensor(new double[] {2, 3}, 2);
    Tensor g = DEVICE.tensor(new double[] {1, 10}, 2);
    Tensor[] dx =
        Tape.pullback(
            () -> {
              Tensor y = x.square();
              return new Tensor[] {y, y};
            },
            new Tensor[] {x},
            new Tensor[] {g, g.mul(2)});
    assertArrayEquals(new double[] {2 * 2 * 3, 2 * 3 * 30}, dx[0].toDoubles(), 1e-12);
  }

  /** A fused operation is asked for the gradients of some of its inputs. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4, 5})
  void differentiatesAFeedForwardNetworkByAnyOfItsInputs(int which) {
    Rng rng = Rng.of(3);
    Tensor[] in = {
      rng.fork(0).normal(DEVICE, 2, 3),
      rng.fork(1).normal(DEVICE, 8, 3),
      rng.fork(2).normal(DEVICE, 8),
      rng.fork(3).normal(DEVICE, 3, 4),
      rng.fork(4).normal(DEVICE, 3),
      rng.fork(5).normal(DEVICE, 2, 3)
    };
    Supplier<Tensor> loss =
        () -> Ops.feedForward(in[0], in[1], in[2], in[3], in[4], in[5]).square().sum();
    double[] alone = Tape.run(List.of(in[which]), loss).gradient(in[which]).toDoubles();
    double[] all = Tape.run(List.of(in), loss).gradient(in[which]).toDoubles();
    assertArrayEquals(all, alone, 1e-12);
    assertTrue(Arrays.stream(all).anyMatch(v -> v != 0));
  }

  /** With frozen weights it is differentiated in pieces, here of 1,030 and 1,031 rows. */
  @Test
  void differentiatesAWideFrozenFeedForwardNetwork() {
    Device cpu = Device.cpu();
    Rng rng = Rng.of(3);
    Tensor x = rng.fork(0).normal(cpu, 2061, 2);
    Tensor up = rng.fork(1).normal(cpu, 4100, 2);
    Tensor upBias = rng.fork(2).normal(cpu, 4100);
    Tensor down = rng.fork(3).normal(cpu, 2, 2050).mul(0.02);
    Tensor downBias = rng.fork(4).normal(cpu, 2);
    Supplier<Tensor> loss = () -> Ops.feedForward(x, up, upBias, down, downBias, x).square().sum();
    double[] all = Tape.run(List.of(x, up), loss).gradient(x).toDoubles();
    double[] frozen = Tape.run(List.of(x), loss).gradient(x).toDoubles();
    for (int i = 0; i < all.length; i++) {
      assertEquals(all[i], frozen[i], 1e-4 * (1 + Math.abs(all[i])));
    }
  }

  @Test
  void givesZerosForWhatTheLossDoesNotUse() {
    Tensor a = DEVICE.tensor(new double[] {2, 3}, 2);
    Tensor unused = DEVICE.tensor(new double[] {1, 1, 1}, 3);
    Tape.Result r = Tape.run(List.of(a, unused), () -> a.sum());
    assertArrayEquals(new double[3], r.gradient(unused).toDoubles());
    assertThrows(ReverieException.class, () -> r.gradient(DEVICE.scalar(1)));
  }

  @Test
  void refusesALossOfSeveralElements() {
    Tensor a = DEVICE.tensor(new double[] {2, 3}, 2);
    ReverieException e =
        assertThrows(ReverieException.class, () -> Tape.run(List.of(a), () -> a.mul(2)));
    assertTrue(e.getMessage().contains("F64[2]"), e.getMessage());
  }

  @Test
  void stopsAtDetachAndInNoGradient() {
    Tensor a = DEVICE.tensor(new double[] {2}, 1);
    Tape.Result r =
        Tape.run(
            List.of(a), () -> a.mul(a.detach()).add(a.mul(Tape.noGradient(() -> a.mul(5)))).sum());
    assertEquals(2 + 10, r.gradient(a).item(), 1e-12);
  }

  @Test
  void differentiatesTwice() {
    Tensor a = DEVICE.tensor(new double[] {0.3}, 1);
    Tape.Result second =
        Tape.run(
            List.of(a),
            () -> {
              Tape.Result first = Tape.run(List.of(a), () -> a.square().mul(a).silu().sum());
              return first.gradient(a).sum();
            });
    double h = 1e-4;
    double numeric = (slope(0.3 + h) - slope(0.3 - h)) / (2 * h);
    assertEquals(numeric, second.gradient(a).item(), 1e-6);
  }

  private static double slope(double x) {
    double u = x * x * x;
    double s = 1 / (1 + Math.exp(-u));
    return s * (1 + u * (1 - s)) * 3 * x * x;
  }

  @Test
  void checkpointGivesTheSameGradientsAlsoOfWhatItClosesOver() {
    Tensor x = Rng.of(1).normal(DEVICE, 3, 4);
    Tensor w = Rng.of(2).normal(DEVICE, 4, 4);
    Tensor[] plain = gradients(x, w, false);
    Tensor[] checkpointed = gradients(x, w, true);
    for (int i = 0; i < 2; i++) {
      assertArrayEquals(plain[i].toDoubles(), checkpointed[i].toDoubles(), 1e-13);
    }
  }

  private static Tensor[] gradients(Tensor x, Tensor w, boolean checkpointed) {
    Tape.Result r =
        Tape.run(
            List.of(x, w),
            () -> {
              Tensor shared = x.mul(2);
              Tensor h = block(shared, w, checkpointed);
              return block(h.add(shared), w, checkpointed).square().mean();
            });
    return new Tensor[] {r.gradient(x), r.gradient(w)};
  }

  private static Tensor block(Tensor x, Tensor w, boolean checkpointed) {
    return checkpointed
        ? Tape.checkpoint(() -> x.matmul(w).silu().add(x))
        : x.matmul(w).silu().add(x);
  }

  @Test
  void checkpointFreesWhatLiesBetween() {
    Tensor x = Rng.of(1).normal(DEVICE, 50, 50);
    long[] live = new long[2];
    for (int i = 0; i < 2; i++) {
      boolean checkpointed = i == 1;
      try (Scope _ = Scope.open("forward")) {
        int index = i;
        Tape.run(
            List.of(x),
            () -> {
              Tensor y = x;
              for (int k = 0; k < 5; k++) {
                y = block(y, x, checkpointed);
              }
              live[index] = DEVICE.liveBytes();
              return y.sum();
            });
      }
    }
    assertTrue(live[1] < 0.7 * live[0], live[1] + " of " + live[0]);
  }

  /** Only weights that are wanted get a gradient. */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void differentiatesAFeedForwardAsItsParts(boolean weights) {
    Tensor x = Rng.of(1).normal(DEVICE, 2, 3, 4);
    Tensor up = Rng.of(2).normal(DEVICE, 6, 4);
    Tensor upBias = Rng.of(3).normal(DEVICE, 6);
    Tensor down = Rng.of(4).normal(DEVICE, 5, 3);
    Tensor downBias = Rng.of(5).normal(DEVICE, 5);
    Tensor residual = Rng.of(6).normal(DEVICE, 2, 3, 5);
    List<Tensor> roots =
        weights ? List.of(x, up, upBias, down, downBias, residual) : List.of(x, residual);
    Tape.Result parts =
        Tape.run(
            roots,
            () -> {
              Tensor gated = Ops.geglu(Ops.linear(x, up, upBias));
              return Ops.linear(gated, down, downBias, residual).square().sum();
            });
    Tape.Result whole =
        Tape.run(
            roots, () -> Ops.feedForward(x, up, upBias, down, downBias, residual).square().sum());
    for (Tensor root : roots) {
      assertArrayEquals(parts.gradient(root).toDoubles(), whole.gradient(root).toDoubles(), 1e-4);
    }
  }

  @Test
  void refusesAnUpdateOfWhatItRecords() {
    Tensor a = DEVICE.tensor(new double[] {2}, 1);
    assertThrows(
        ReverieException.class,
        () ->
            Tape.run(
                List.of(a),
                () -> {
                  a.assign(DEVICE.tensor(new double[] {1}, 1));
                  return a.sum();
                }));
  }

  private static double[] gradient(Tensor x, UnaryOperator<Tensor> f) {
    return Tape.run(List.of(x), () -> f.apply(x).sum()).gradient(x).toDoubles();
  }

  /** Where a function has a kink, the gradient that PyTorch and JAX give. */
  @Test
  void sharesTheGradientAtTies() {
    Tensor x = DEVICE.tensor(new double[] {1, 3, 3}, 3);
    assertArrayEquals(new double[] {0, 0.5, 0.5}, gradient(x, Tensor::max));
    Tensor y = DEVICE.tensor(new double[] {0, 3, 5}, 3);
    assertArrayEquals(new double[] {1, 0.5, 0}, gradient(x, a -> a.maximum(y)));
    assertArrayEquals(new double[] {0, 0.5, 1}, gradient(x, a -> a.minimum(y)));
    assertArrayEquals(new double[] {0, 0.5, 1}, gradient(y, b -> x.maximum(b)));
    assertArrayEquals(new double[] {1, 0.5, 0}, gradient(y, b -> x.minimum(b)));
    assertArrayEquals(new double[] {1, 1, 1}, gradient(x, a -> a.clamp(1, 3)));
    Tensor signs = DEVICE.tensor(new double[] {-2, 0, 2}, 3);
    assertArrayEquals(new double[] {-1, 0, 1}, gradient(signs, Tensor::abs));
    assertArrayEquals(new double[] {0, 0, 1}, gradient(signs, Tensor::relu));
  }

  private static Tensor derivative(Tensor x, UnaryOperator<Tensor> f) {
    return Tape.run(List.of(x), () -> f.apply(x).sum()).gradient(x);
  }

  /** Rules make tensors on the way, which the outer tape needs after the inner one is done. */
  @Test
  void differentiatesTwiceThroughRulesOfSeveralOperations() {
    Tensor x = DEVICE.tensor(new double[] {-1.5, -0.2, 0.4, 2}, 4);
    List<UnaryOperator<Tensor>> functions =
        List.of(
            Tensor::sigmoid,
            Tensor::tanh,
            Tensor::logSigmoid,
            Tensor::silu,
            Tensor::gelu,
            Tensor::cos,
            t -> t.square().add(1).sqrt(),
            t -> t.exp().div(t.square().add(1)),
            t -> t.reshape(2, 2).softmax().square());
    for (UnaryOperator<Tensor> f : functions) {
      GradCheck.of(in -> new Tensor[] {derivative(in[0], f)}).check(x).require(1e-7);
    }
  }
}
