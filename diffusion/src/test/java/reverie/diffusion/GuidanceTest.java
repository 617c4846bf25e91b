// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import reverie.autograd.Tape;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

class GuidanceTest {
  private static final Device DEVICE = Device.reference();
  private final List<Integer> batches = new ArrayList<>();
  private Scope scope;

  @BeforeEach
  void open() {
    scope = Scope.open("test");
  }

  @AfterEach
  void close() {
    scope.close();
  }

  /** A model that multiplies x by t, a weight and the sum of the context. */
  private Denoiser model(Tensor weight) {
    return (x, t, context) -> {
      batches.add(x.dim(0));
      int n = x.dim(0);
      Tensor factor = context.sum(1, 2).mul(t).mul(weight).reshape(n, 1);
      return x.mul(factor);
    };
  }

  @Test
  void branchesAreMixedInOneBatch() {
    Tensor weight = DEVICE.scalar(0.5);
    Tensor none = DEVICE.tensor(new double[] {0.1, 0.2}, 1, 1, 2);
    Tensor context = Rng.of(1).normal(DEVICE, 3, 1, 2);
    Tensor x = Rng.of(2).normal(DEVICE, 3, 4);
    Tensor t = DEVICE.tensor(new double[] {1, 2, 3}, 3);
    double w = 5;

    double[] guided = new Guidance(model(weight), w, none).predict(x, t, context).toDoubles();
    assertEquals(List.of(6), batches);
    double[] unconditional = model(weight).predict(x, t, none.expand(3, 1, 2)).toDoubles();
    double[] conditional = model(weight).predict(x, t, context).toDoubles();
    for (int i = 0; i < 12; i++) {
      assertEquals(unconditional[i] + w * (conditional[i] - unconditional[i]), guided[i], 1e-13);
    }
  }

  @Test
  void aModelThatBranchesItselfSeesEverySampleOnce() {
    Tensor none = DEVICE.tensor(new double[] {0.1, 0.2}, 1, 1, 2);
    Tensor context = Rng.of(1).normal(DEVICE, 3, 1, 2);
    Tensor x = Rng.of(2).normal(DEVICE, 3, 4);
    Tensor t = DEVICE.tensor(new double[] {1, 2, 3}, 3);
    Denoiser model = model(DEVICE.scalar(0.5));
    double[] plain = new Guidance(model, 5, none).predict(x, t, context).toDoubles();
    batches.clear();
    List<Integer> samples = new ArrayList<>();
    Denoiser branching =
        Denoiser.branching((samplesOnce, timesteps, contexts) -> {
          samples.add(samplesOnce.dim(0));
          return model.predictEach(samplesOnce, timesteps, contexts);
        });
    assertArrayEquals(plain, new Guidance(branching, 5, none).predict(x, t, context).toDoubles());
    assertEquals(List.of(3), samples);
  }

  @Test
  void gradientsFlowThroughBothBranches() {
    Tensor weight = DEVICE.scalar(0.5);
    Tensor none = DEVICE.tensor(new double[] {0.1, 0.2}, 1, 1, 2);
    Tensor context = DEVICE.tensor(new double[] {1, 2, 3, 4}, 2, 1, 2);
    Tensor x = DEVICE.tensor(new double[] {1, -2}, 2, 1);
    Tensor t = DEVICE.tensor(new double[] {3, 4}, 2);
    Guidance guidance = new Guidance(model(weight), 2, none);
    Tape.Result result =
        Tape.run(List.of(weight, none, context), () -> guidance.predict(x, t, context).sum());
    // Σ x·t·weight·((1−w)·Σnone + w·Σcontext)
    assertEquals(
        1 * 3 * (-0.3 + 2 * 3) - 2 * 4 * (-0.3 + 2 * 7), result.gradient(weight).item(), 1e-12);
    double perNone = -(3 - 8) * 0.5;
    assertArrayEquals(new double[] {perNone, perNone}, result.gradient(none).toDoubles(), 1e-12);
    assertArrayEquals(new double[] {3, 3, -8, -8}, result.gradient(context).toDoubles(), 1e-12);
  }

  @Test
  void scaleOneAsksOnlyTheConditionalBranch() {
    Tensor x = Rng.of(2).normal(DEVICE, 2, 4);
    Tensor context = Rng.of(1).normal(DEVICE, 2, 1, 2);
    Tensor t = DEVICE.full(3, 2);
    Denoiser model = model(DEVICE.scalar(1));
    double[] guided = new Guidance(model, 1, null).predict(x, t, context).toDoubles();
    assertArrayEquals(model.predict(x, t, context).toDoubles(), guided);
    assertEquals(List.of(2, 2), batches);
  }

  @Test
  void whatItNeedsIsSaid() {
    Denoiser model = model(DEVICE.scalar(1));
    Tensor none = DEVICE.zeros(1, 1, 2);
    ReverieException e = assertThrows(ReverieException.class, () -> new Guidance(model, 5, null));
    assertTrue(e.getMessage().contains("scale 5.0 needs an unconditional context"), e::getMessage);
    assertThrows(ReverieException.class, () -> new Guidance(model, 5, DEVICE.zeros(2, 1, 2)));
    assertThrows(ReverieException.class, () -> new Guidance(model, Double.NaN, none));
    Tensor x = DEVICE.zeros(1, 4);
    Tensor t = DEVICE.zeros(1);
    assertThrows(ReverieException.class, () -> new Guidance(model, 5, none).predict(x, t, null));
  }
}
