// SPDX-License-Identifier: Apache-2.0
package reverie.autograd.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import reverie.autograd.Tape;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

class LayersTest {
  private final Device device = Device.reference();
  private Scope scope;
  private Parameters p;

  @BeforeEach
  void open() {
    scope = Scope.open("test");
    p = Parameters.random(device, Rng.of(3));
  }

  @AfterEach
  void close() {
    p.close();
    scope.close();
  }

  @Test
  void layersComputeWithTheirParameters() {
    Tensor x = Rng.of(1).normal(device, 2, 4, 4, 6);
    Tensor linear = new Linear(p.at("l"), 6, 3, true).forward(x);
    assertClose(Ops.linear(x, value("l.weight"), value("l.bias")), linear);
    Tensor conv = new Conv2d(p.at("c"), 6, 3, 3, 2, 1).forward(x);
    assertClose(Ops.conv2d(x, value("c.weight"), value("c.bias"), 2, 1), conv);
    Tensor group = new GroupNorm(p.at("g"), 3, 6, 1e-5).forward(x);
    assertClose(Ops.groupNorm(x, device.full(1, 6), device.zeros(6), 3, 1e-5), group);
    Tensor layer = new LayerNorm(p.at("n"), 6, 1e-5).forward(x);
    assertClose(Ops.layerNorm(x, device.full(1, 6), device.zeros(6), 1e-5), layer);
    Tensor rows = new Embedding(p.at("e"), 5, 2).forward(device.indices(new int[] {4, 0}, 2));
    assertClose(
        Ops.concat(0, value("e.weight").slice(0, 4, 5), value("e.weight").slice(0, 0, 1)), rows);
  }

  @Test
  void sinusoidsAreThoseOfDiffusers() {
    Tensor t = device.tensor(new double[] {0, 3}, 2);
    TimestepEmbedding plain = new TimestepEmbedding(p.at("a"), 4, 8, false, 1, Tensor::silu);
    double low = 3 * 1e-4;
    assertArrayEquals(
        new double[] {0, 0, 1, 1, Math.sin(3), Math.sin(low), Math.cos(3), Math.cos(low)},
        plain.sinusoid(t).toDoubles(),
        1e-7);
    TimestepEmbedding flipped = new TimestepEmbedding(p.at("b"), 4, 8, true, 0, Tensor::silu);
    double half = 3 * 1e-2;
    assertArrayEquals(
        new double[] {1, 1, 0, 0, Math.cos(3), Math.cos(half), Math.sin(3), Math.sin(half)},
        flipped.sinusoid(t).toDoubles(),
        1e-7);
    assertEquals(List.of(2, 8), List.of(flipped.forward(t).dim(0), flipped.forward(t).dim(1)));
    assertThrows(ReverieException.class, () -> plain.forward(device.indices(new int[] {1}, 1)));
  }

  /** Added to the weight, and of wide layers to the output. */
  @ParameterizedTest
  @CsvSource({"6,4", "40,48"})
  void loraChangesNothingAtFirstThenTrainsAloneAndMerges(int in, int out) {
    Linear layer = new Linear(p.at("attn.to_q"), in, out, true);
    new Linear(p.at("attn.other"), in, out, true);
    Tensor x = Rng.of(1).normal(device, 2, in);
    Tensor before = layer.forward(x);
    try (Lora lora = new Lora(p, new Lora.Size(2, 4), Lora::isAttentionProjection, Rng.of(8))) {
      assertClose(before, layer.forward(x));
      assertEquals(List.of(), p.trainable());
      assertEquals(2 * in + out * 2, lora.parameters().count());
      Tensor a = lora.parameters().get("attn.to_q.lora_A.weight").value();
      Tensor b = lora.parameters().get("attn.to_q.lora_B.weight").value();
      b.assign(Rng.of(4).normal(device, out, 2));
      Tensor adapted = layer.forward(x);
      Tensor bypass = Ops.linear(Ops.linear(x, a, null), b, null).mul(4 / 2.0);
      assertClose(before.add(bypass), adapted);
      assertClose(before, lora.without(() -> layer.forward(x)));
      assertThrows(
          IllegalStateException.class,
          () ->
              lora.without(() -> {
                throw new IllegalStateException();
              }));
      assertClose(adapted, layer.forward(x));
      Tape.Result r = Tape.run(List.of(a, b), () -> layer.forward(x).square().sum());
      Tape.Result expected =
          Tape.run(
              List.of(a, b),
              () -> before.add(Ops.linear(Ops.linear(x, a, null), b, null).mul(2)).square().sum());
      assertClose(expected.gradient(a), r.gradient(a));
      assertClose(expected.gradient(b), r.gradient(b));
      try (Parameters merged = p.copy()) {
        lora.addTo(merged);
        assertClose(adapted, new Linear(merged.at("attn.to_q"), in, out, true).forward(x));
      }
    }
    assertClose(before, layer.forward(x));
    assertThrows(
        ReverieException.class, () -> new Lora(p, new Lora.Size(1, 1), _ -> false, Rng.of(1)));
  }

  @Test
  void loraAdaptsConvolutionsOfOnePixelAndTakesOtherValues() {
    Conv2d layer = new Conv2d(p.at("proj_in"), 3, 5, 1, 1, 0);
    Tensor x = Rng.of(1).normal(device, 2, 4, 4, 3);
    Tensor before = layer.forward(x);
    Map<String, Lora.Size> sizes = Map.of("proj_in", new Lora.Size(2, 2));
    try (Lora lora = new Lora(p, sizes, Rng.of(8))) {
      Tensor a = lora.parameters().get("proj_in.lora_A.weight").value();
      Tensor b = lora.parameters().get("proj_in.lora_B.weight").value();
      b.assign(Rng.of(4).normal(device, 5, 2));
      Tensor bypass = Ops.linear(Ops.linear(x, a, null), b, null);
      assertClose(before.add(bypass), layer.forward(x));
      lora.setStrength(0.5);
      assertClose(before.add(bypass.mul(0.5)), layer.forward(x));
      try (Parameters average = lora.parameters().copy()) {
        average.get("proj_in.lora_B.weight").value().assign(b.mul(4));
        assertClose(before.add(bypass.mul(2)), lora.with(average, () -> layer.forward(x)));
      }
    }
    new Conv2d(p.at("conv"), 3, 5, 3, 1, 1);
    assertThrows(
        ReverieException.class, () -> new Lora(p, Map.of("conv", new Lora.Size(1, 1)), Rng.of(1)));
  }

  private Tensor value(String name) {
    return p.get(name).value();
  }

  private static void assertClose(Tensor expected, Tensor actual) {
    assertEquals(expected.shape(), actual.shape());
    assertArrayEquals(expected.toDoubles(), actual.toDoubles(), 1e-12);
  }
}
