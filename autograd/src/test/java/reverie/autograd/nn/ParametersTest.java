// SPDX-License-Identifier: Apache-2.0
package reverie.autograd.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Shape;
import reverie.tensor.Tensor;

class ParametersTest {
  @Test
  void weightsBeginWithinTheRootOfTheirInputs() {
    try (Scope _ = Scope.open("test")) {
      double[] values = Initialiser.fanIn(25).make(Device.reference(), Rng.of(1), 400).toDoubles();
      double largest = Arrays.stream(values).map(Math::abs).max().orElseThrow();
      assertTrue(largest > 0.19 && largest <= 0.2, () -> "" + largest);
    }
    try (Parameters p = Parameters.random(device, Rng.of(1))) {
      new Conv2d(p.at("convolution"), 4, 16, 5, 1, 2);
      new Linear(p.at("linear"), 100, 16, true);
      for (Parameter each : p.all()) {
        double most = Arrays.stream(each.value().toDoubles()).map(Math::abs).max().orElseThrow();
        assertTrue(most > 0.07 && most <= 0.1, () -> each + " " + most);
      }
    }
  }

  private final Device device = Device.reference();

  @Test
  void namesAreFullAndInTheOrderOfMaking() {
    try (Parameters p = Parameters.random(device, Rng.of(1))) {
      new Linear(p.at("b").at("net", 2), 3, 4, true);
      new Conv2d(p.at("a"), 3, 5, 3, 1, 1);
      assertEquals(
          List.of("b.net.2.weight", "b.net.2.bias", "a.weight", "a.bias"),
          p.all().stream().map(Parameter::name).toList());
      assertEquals(4 * 3 + 4 + 5 * 3 * 9 + 5, p.count());
      assertEquals(16, p.at("b").count());
      assertEquals(Shape.of(5, 3, 3, 3), p.get("a.weight").fileShape());
      assertEquals(Shape.of(3, 3, 3, 5), p.get("a.weight").shape());
    }
  }

  @Test
  void valuesDependOnSeedAndNameOnly() {
    try (Parameters one = Parameters.random(device, Rng.of(5));
        Parameters two = Parameters.random(device, Rng.of(5))) {
      new Linear(one.at("x"), 3, 4, true);
      new Linear(one.at("y"), 3, 4, true);
      new Linear(two.at("y"), 3, 4, true);
      double[] x = one.get("x.weight").value().toDoubles();
      double[] y = one.get("y.weight").value().toDoubles();
      assertArrayEquals(y, two.get("y.weight").value().toDoubles());
      assertFalse(Arrays.equals(x, y));
      double bound = 1 / Math.sqrt(3);
      assertTrue(Arrays.stream(x).allMatch(v -> Math.abs(v) <= bound));
      assertTrue(
          Arrays.stream(x).max().getAsDouble() > 0 && Arrays.stream(x).min().getAsDouble() < 0);
    }
  }

  /** A weight larger than what is filled at once has the numbers of its positions. */
  @Test
  void uniformNumbersAreAddressedByPosition() {
    Rng rng = Rng.of(3).fork("w");
    try (Scope _ = Scope.open("test")) {
      double[] values = Initialiser.uniform(0.5).make(device, rng, 3, 200_001).toDoubles();
      for (int i = 0; i < values.length; i += 7) {
        assertEquals(rng.uniform(i) - 0.5, values[i], 0, "number " + i);
      }
      assertEquals(rng.uniform(600_002) - 0.5, values[600_002], 0);
    }
  }

  @Test
  void aCopyHasItsOwnMemoryAndBuildsTheSameModel() {
    try (Parameters p = Parameters.random(device, Rng.of(5));
        Scope _ = Scope.open("test")) {
      Linear original = new Linear(p.at("x"), 3, 4, true);
      Tensor x = Rng.of(2).normal(device, 2, 3);
      double[] before = original.forward(x).toDoubles();
      try (Parameters frozen = p.frozenCopy()) {
        Linear reference = new Linear(frozen.at("x"), 3, 4, true);
        p.get("x.bias").value().assign(device.full(9, 4));
        assertArrayEquals(before, reference.forward(x).toDoubles());
        assertEquals(List.of(), frozen.trainable());
        assertEquals(2, p.trainable().size());
        frozen.copyFrom(p);
        assertArrayEquals(original.forward(x).toDoubles(), reference.forward(x).toDoubles());
        ReverieException other =
            assertThrows(ReverieException.class, () -> new Linear(frozen.at("x"), 3, 5, true));
        assertTrue(other.getMessage().contains("x.weight[5, 3]"), other.getMessage());
        try (Parameters turned = Parameters.random(device, Rng.of(5))) {
          new Linear(turned.at("x"), 4, 3, true);
          ReverieException shape =
              assertThrows(ReverieException.class, () -> frozen.copyFrom(turned));
          assertTrue(shape.getMessage().contains("got x.weight[3, 4]"), shape.getMessage());
        }
      }
    }
  }

  @Test
  void freezingGoesByName() {
    try (Parameters p = Parameters.random(device, Rng.of(5))) {
      new Linear(p.at("x"), 3, 4, true);
      p.freeze(name -> name.endsWith("bias"));
      assertEquals(List.of(p.get("x.weight")), p.trainable());
      try (Parameters copy = p.copy()) {
        assertEquals(List.of(copy.get("x.weight")), copy.trainable());
      }
      p.unfreeze(_ -> true);
      assertEquals(2, p.trainable().size());
    }
  }

  @Test
  void shapesAloneTakeNoMemory() {
    try (Parameters p = Parameters.shapesOnly()) {
      new Linear(p.at("x"), 1 << 20, 1 << 20, false);
      assertEquals(1L << 40, p.count());
      assertThrows(ReverieException.class, () -> p.get("x.weight").value());
    }
  }

  @Test
  void aNameIsTakenOnce() {
    try (Parameters p = Parameters.zeros(device)) {
      new Linear(p.at("x"), 1, 1, true);
      assertThrows(ReverieException.class, () -> new Linear(p.at("x"), 1, 1, true));
    }
  }

  @Test
  void closingFreesAllMemory() {
    long before = device.liveBytes();
    try (Parameters p = Parameters.random(device, Rng.of(5))) {
      new Linear(p.at("x"), 8, 8, true);
      assertTrue(device.liveBytes() > before);
    }
    assertEquals(before, device.liveBytes());
  }
}
