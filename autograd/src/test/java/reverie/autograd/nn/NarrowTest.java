// SPDX-License-Identifier: Apache-2.0
package reverie.autograd.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import reverie.autograd.optim.Ema;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/** Weights that are held in 16 bits. */
class NarrowTest {
  private final Device device = Device.cpu();

  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"F16", "BF16"})
  void computesWithRoundedWeights(DType dtype) {
    try (Scope _ = Scope.open("test");
        Parameters wide = Parameters.random(device, Rng.of(1));
        Parameters narrow = Parameters.random(device, Rng.of(1), dtype)) {
      Linear exact = new Linear(wide.at("layer"), 5, 3, true);
      Linear rounded = new Linear(narrow.at("layer"), 5, 3, true);
      wide.get("layer.weight").value().assign(wide.get("layer.weight").value().roundTo(dtype));
      Tensor x = Rng.of(2).normal(device, 4, 5);
      assertArrayEquals(exact.forward(x).toFloats(), rounded.forward(x).toFloats());
      assertTrue(narrow.get("layer.weight").isNarrow());
      assertFalse(narrow.get("layer.bias").isNarrow());

      // Nothing but adapters can be trained, and these are added to what is held.
      assertEquals(1, narrow.trainable().size());
      narrow.unfreeze(_ -> true);
      assertFalse(narrow.get("layer.weight").trainable());
      try (Ema average = new Ema(narrow, 0.9, false)) {
        average.update();
        assertEquals(1, average.updates(), "what cannot be trained needs no average");
      }
      assertThrows(ReverieException.class, narrow.get("layer.weight")::value);
      try (Lora one = new Lora(wide, new Lora.Size(2, 2), _ -> true, Rng.of(3));
          Lora other = new Lora(narrow, new Lora.Size(2, 2), _ -> true, Rng.of(3));
          Parameters copy = narrow.copy()) {
        for (Lora lora : new Lora[] {one, other}) {
          lora.adapters().getFirst().b().value().assign(new float[] {1, 2, 3, 4, 5, 6});
        }
        assertArrayEquals(exact.forward(x).toFloats(), rounded.forward(x).toFloats());
        assertArrayEquals(
            copy.get("layer.weight").read().toFloats(),
            narrow.get("layer.weight").read().toFloats());
        // Merged, the sum is rounded.
        other.addTo(copy);
        Tensor sum = wide.get("layer.weight").effective().roundTo(dtype);
        assertArrayEquals(sum.toFloats(), copy.get("layer.weight").read().toFloats());
      }
    }
  }

  /** Weights are packed in pieces of 262,144, random ones made in such. */
  @Test
  void largeWeightsAreHeldWhole() {
    try (Scope _ = Scope.open("test");
        Parameters wide = Parameters.random(device, Rng.of(1));
        Parameters narrow = Parameters.random(device, Rng.of(1), DType.BF16)) {
      new Linear(wide.at("layer"), 601, 901, false);
      new Linear(narrow.at("layer"), 601, 901, false);
      Tensor expected = wide.get("layer.weight").value();
      assertArrayEquals(
          expected.roundTo(DType.BF16).toFloats(), narrow.get("layer.weight").read().toFloats());
      float[] values = expected.toFloats();
      assertNotEquals(values[0], values[1 << 18]);
      assertNotEquals(values[1], values[1 + (1 << 18)]);
    }
  }

  @Test
  void adaptersAreAddedToEachOther() {
    try (Scope _ = Scope.open("test");
        Parameters model = Parameters.random(device, Rng.of(1))) {
      Linear layer = new Linear(model.at("layer"), 1, 1, false);
      model.get("layer.weight").value().assign(new float[] {1});
      Lora first = constant(model, 10);
      try (Lora second = constant(model, 100)) {
        Tensor x = device.full(1, 1, 1);
        assertEquals(111, layer.forward(x).item());
        assertEquals(11, second.without(() -> layer.forward(x).item()));
        first.close();
        assertEquals(101, layer.forward(x).item());
      }
    }
  }

  private static Lora constant(Parameters model, float value) {
    Lora lora = new Lora(model, new Lora.Size(1, 1), _ -> true, Rng.of(3));
    lora.adapters().getFirst().a().value().assign(new float[] {1});
    lora.adapters().getFirst().b().value().assign(new float[] {value});
    return lora;
  }

  @Test
  void whatIsTooLargeIsNamed() {
    try (Scope _ = Scope.open("test");
        Parameters model = Parameters.zeros(device, DType.F16)) {
      Linear unused = new Linear(model.at("layer"), 2, 1, false);
      Parameter weight = model.get("layer.weight");
      weight.write(device.tensor(new float[] {65504, -65504}, 1, 2));
      assertArrayEquals(new float[] {65504, -65504}, weight.read().toFloats());
      ReverieException e =
          assertThrows(
              ReverieException.class,
              () -> weight.write(device.tensor(new float[] {1, 65520}, 1, 2)));
      assertTrue(e.getMessage().contains("weight holds 65520.0"), e::getMessage);
      assertTrue(unused.forward(device.zeros(1, 2)).item() == 0);
    }
  }
}
