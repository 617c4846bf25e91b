// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.debug;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import reverie.tensor.Device;
import reverie.tensor.Interpreter;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.laws.LeakCheck;
import reverie.tensor.op.Affine;
import reverie.tensor.op.Lerp;
import reverie.tensor.op.Op;

@ExtendWith(LeakCheck.class)
class InterpretersTest {
  private final Device device = Device.cpu();
  private Scope scope;

  @BeforeEach
  void open() {
    scope = Scope.open("test");
  }

  @AfterEach
  void close() {
    scope.close();
  }

  private static <T> T guarded(Supplier<T> body) {
    return Interpreter.with(new NanGuard(Interpreter.current()), body);
  }

  @Test
  void theGuardNamesWhereNanAppears() {
    Tensor x = device.tensor(new float[] {1, 2, -3, 4}, 2, 2);
    String message =
        assertThrows(ReverieException.class, () -> guarded(() -> x.mul(2).log().sum()))
            .getMessage();
    assertTrue(
        message.startsWith(
            "log: expected finite values from finite inputs [F32[2, 2]], got NaN at element 2 of"
                + " output 0 F32[2, 2]"),
        message);
    Tensor zero = device.zeros(1);
    String infinity =
        assertThrows(ReverieException.class, () -> guarded(() -> x.div(zero))).getMessage();
    assertTrue(
        infinity.startsWith("div: ") && infinity.contains("got Infinity at element 0"), infinity);
  }

  @Test
  void theGuardLetsSoundAndOldNansPass() {
    Tensor x = device.tensor(new float[] {1, 2, 3, 4}, 2, 2);
    assertArrayEquals(
        new float[] {1, 3, 2, 4}, guarded(() -> x.transpose().contiguous()).toFloats());
    Tensor bad = device.tensor(new float[] {Float.NaN}, 1);
    assertTrue(Double.isNaN(guarded(() -> bad.mul(2)).item()));
    assertEquals(
        Double.NEGATIVE_INFINITY, guarded(() -> device.full(Double.NEGATIVE_INFINITY, 1)).item());
  }

  @Test
  void theGuardWatchesUpdates() {
    Tensor x = device.zeros(3);
    Tensor huge = device.full(3e38, 3);
    assertThrows(
        ReverieException.class,
        () ->
            guarded(() -> {
              Ops.update(new Affine(3, 0), new Tensor[] {x}, huge);
              return null;
            }));
  }

  /** Adds an error to one operation of the interpreter it wraps. */
  private record Wrong(Interpreter next, String name, double error) implements Interpreter {
    @Override
    public Tensor[] apply(Device on, Op op, Tensor... inputs) {
      Tensor[] outputs = next.apply(on, op, inputs);
      return op.name().equals(name) ? next.apply(on, new Affine(1, error), outputs[0]) : outputs;
    }

    @Override
    public void update(Op op, Tensor[] targets, Tensor... inputs) {
      next.update(op, targets, inputs);
    }
  }

  private Tensor model() {
    Tensor x = Rng.of(1).normal(device, 2, 5);
    Tensor table = device.tensor(new float[] {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 2, 5);
    Tensor rows = Ops.embedding(table, device.indices(new int[] {1, 0}, 2));
    return Ops.layerNorm(x.add(rows).silu(), device.full(1, 5), device.zeros(5), 1e-5).transpose();
  }

  @Test
  void theShadowFindsAWrongOperation() {
    Shadow sound = new Shadow(Interpreter.current(), 1e-5);
    Tensor expected = model();
    assertArrayEquals(expected.toFloats(), Interpreter.with(sound, this::model).toFloats());
    Map<String, Double> worst = sound.worst();
    assertTrue(worst.get("layer_norm") > 0 && worst.get("layer_norm") < 1e-5, worst.toString());
    assertEquals(0, worst.get("embedding"));
    Shadow shadow = new Shadow(new Wrong(Interpreter.current(), "silu", 1e-3), 1e-5);
    String message =
        assertThrows(ReverieException.class, () -> Interpreter.with(shadow, this::model))
            .getMessage();
    assertTrue(message.startsWith("silu: expected "), message);
    assertTrue(message.contains("at element 0 of output 0 F32[2, 5] of [F32[2, 5]]"), message);
  }

  @Test
  void theShadowFollowsUpdates() {
    Tensor a = device.tensor(new float[] {1, 2}, 2);
    Tensor b = device.tensor(new float[] {3, 6}, 2);
    Tensor weight = device.full(0.5, 1);
    Shadow shadow = new Shadow(Interpreter.current(), 1e-6);
    Interpreter.with(
        shadow,
        () -> {
          Ops.update(new Lerp(), new Tensor[] {a}, a, b, weight);
          return null;
        });
    assertArrayEquals(new float[] {2, 4}, a.toFloats());
    assertEquals(Map.of("lerp", 0.0), shadow.worst());
  }

  @Test
  void theProfileCountsOperations() {
    Profile profile = new Profile(Interpreter.current());
    Interpreter.with(
        profile,
        () -> {
          Tensor a = device.full(2, 3, 5);
          Tensor b = a.matmul(a.transpose()).add(1);
          a.assign(a.mul(2));
          return b;
        });
    List<Profile.Row> rows = profile.rows();
    assertEquals(
        List.of("affine:2", "copy:1", "fill:1", "mat_mul:1", "permute:1"),
        rows.stream().map(r -> r.operation() + ":" + r.count()).sorted().toList());
    assertEquals(
        2 * 3 * 3 * 5,
        rows.stream()
            .filter(r -> r.operation().equals("mat_mul"))
            .findFirst()
            .orElseThrow()
            .flops());
    for (int i = 1; i < rows.size(); i++) {
      assertTrue(rows.get(i - 1).nanos() >= rows.get(i).nanos());
    }
    String[] lines = profile.table().split("\\R");
    assertEquals(1 + rows.size(), lines.length);
    assertTrue(lines[0].startsWith("operation "), lines[0]);
  }
}
