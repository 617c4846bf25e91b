// SPDX-License-Identifier: Apache-2.0
package reverie.tensor;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import reverie.tensor.graph.CapturedGraph;
import reverie.tensor.laws.LeakCheck;
import reverie.tensor.op.MatMul;

@ExtendWith(LeakCheck.class)
class ViewsTest {
  private final Device device = Device.reference();
  private Scope scope;

  @BeforeEach
  void open() {
    scope = Scope.open("test");
  }

  @AfterEach
  void close() {
    scope.close();
  }

  private Tensor counting(int... dims) {
    int size = IntStream.of(dims).reduce(1, (a, b) -> a * b);
    return device.tensor(IntStream.range(0, size).asDoubleStream().toArray(), dims);
  }

  /** The bytes of a view in the order of its elements, there and back. */
  @Test
  void valuesAreCopiedToMemoryOfTheHost() {
    Tensor view = counting(2, 3).transpose();
    byte[] bytes = new byte[6 * Double.BYTES];
    view.copyTo(MemorySegment.ofArray(bytes));
    Tensor other = device.zeros(3, 2);
    other.assign(MemorySegment.ofArray(bytes));
    assertArrayEquals(new double[] {0, 3, 1, 4, 2, 5}, other.toDoubles());
    String message =
        assertThrows(ReverieException.class, () -> view.copyTo(MemorySegment.ofArray(new byte[8])))
            .getMessage();
    assertTrue(message.contains("copyTo: expected memory for F64[3, 2]"), message);
  }

  @Test
  void viewsShareMemoryAndReshapeCopiesOnlyWhereItMust() {
    Tensor x = counting(2, 3, 4);
    long before = device.liveBytes();
    assertTrue(x.reshape(6, 4).isContiguous());
    x.permute(2, 0, 1).slice(0, 1, 3).expand(5, 2, 2, 3);
    // Two axes of a permuted tensor that still lie one after the other.
    x.permute(2, 0, 1).reshape(4, 6);
    x.slice(2, 0, 2).reshape(2, 3, 1, 2);
    assertSame(x, x.reshape(2, 3, 4));
    assertSame(x, x.contiguous());
    assertEquals(before, device.liveBytes());
    x.transpose().reshape(24);
    assertEquals(before + 24 * 8, device.liveBytes());
    Tensor y = x.slice(0, 1, 2).reshape(12);
    x.assign(device.zeros(2, 3, 4));
    assertEquals(0, y.sum().item());
  }

  /** Random chains of views against index arithmetic on the host. */
  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19})
  void chainsOfViewsReadTheRightElements(int seed) {
    Rng rng = Rng.of(seed);
    Tensor x = counting(2, 3, 4, 5);
    double[] model = x.toDoubles();
    for (int step = 0; step < 12; step++) {
      int rank = x.shape().rank();
      int axis = rank == 0 ? 0 : rng.below(4 * step, rank);
      int choice = rng.below(4 * step + 1, 4);
      if (choice == 0 && rank > 1) {
        int[] axes = rng.fork(step).permutation(rank);
        model = permuted(model, x.shape(), axes);
        x = x.permute(axes);
      } else if (choice == 1 && rank > 0 && x.dim(axis) > 1) {
        int from = rng.below(4 * step + 2, x.dim(axis) - 1);
        model = sliced(model, x.shape(), axis, from, x.dim(axis));
        x = x.slice(axis, from, x.dim(axis));
      } else if (choice == 2 && rank > 1) {
        int[] merged = new int[rank - 1];
        for (int i = 0; i < rank; i++) {
          merged[Math.min(i, rank - 2)] = i == rank - 1 ? merged[rank - 2] * x.dim(i) : x.dim(i);
        }
        x = x.reshape(merged);
      } else if (rank < 5) {
        int[] grown = IntStream.concat(IntStream.of(2), IntStream.of(x.shape().dims())).toArray();
        double[] twice = Arrays.copyOf(model, 2 * model.length);
        System.arraycopy(model, 0, twice, model.length, model.length);
        model = twice;
        x = x.expand(grown);
      }
      assertArrayEquals(model, x.toDoubles(), "step " + step + " " + x.shape());
    }
  }

  private static double[] permuted(double[] x, Shape shape, int[] axes) {
    int[] dims = IntStream.of(axes).map(shape::dim).toArray();
    int[] strides = shape.contiguousStrides();
    double[] out = new double[x.length];
    for (int i = 0; i < out.length; i++) {
      int rest = i;
      int from = 0;
      for (int a = dims.length - 1; a >= 0; a--) {
        from += rest % dims[a] * strides[axes[a]];
        rest /= dims[a];
      }
      out[i] = x[from];
    }
    return out;
  }

  private static double[] sliced(double[] x, Shape shape, int axis, int from, int to) {
    int inner = shape.contiguousStrides()[axis];
    return IntStream.range(0, x.length)
        .filter(i -> i / inner % shape.dim(axis) >= from && i / inner % shape.dim(axis) < to)
        .mapToDouble(i -> x[i])
        .toArray();
  }

  @Test
  void minusOneIsWorkedOut() {
    assertEquals(Shape.of(3, 8), counting(2, 3, 4).reshape(3, -1).shape());
    assertEquals(Shape.of(24), counting(2, 3, 4).reshape(-1).shape());
    String message =
        assertThrows(ReverieException.class, () -> counting(2, 3).reshape(-1, 4)).getMessage();
    assertTrue(message.contains("reshape: expected [-1, 4] to fit F64[2, 3]"), message);
    assertThrows(ReverieException.class, () -> counting(2, 3).reshape(-1, -1));
    assertThrows(ReverieException.class, () -> counting(0, 3).reshape(-1, 0));
  }

  @Test
  void negativeAxesCountFromTheEnd() {
    Tensor x = counting(2, 3, 4);
    assertEquals(4, x.dim(-1));
    assertEquals(Shape.of(2, 3), x.sum(-1).shape());
    assertEquals(Shape.of(3), x.mean(0, -1).shape());
    assertEquals(Shape.of(), x.max().shape());
    assertEquals(Shape.of(2, 3, 2), x.split(-1, 2)[1].shape());
    String message = assertThrows(ReverieException.class, () -> x.dim(-4)).getMessage();
    assertTrue(message.contains("expected an axis of [2, 3, 4], got -4"), message);
    assertThrows(ReverieException.class, () -> x.split(1, 2));
  }

  @Test
  void broadcastingErrorsNameOperationAndShapes() {
    String message =
        assertThrows(ReverieException.class, () -> counting(2, 3).mul(counting(4))).getMessage();
    assertTrue(
        message.startsWith("mul: expected shapes that broadcast, got [2, 3] and [4]\nhint: "),
        message);
    Tensor other = Device.cpu().zeros(3);
    String devices =
        assertThrows(ReverieException.class, () -> counting(3).add(other)).getMessage();
    assertTrue(
        devices.contains("expected all inputs on one device, got reference and cpu"), devices);
    String types =
        assertThrows(ReverieException.class, () -> counting(3).add(device.indices(new int[3], 3)))
            .getMessage();
    assertTrue(
        types.contains("expected inputs of one floating-point type, got [F64[3], I32[3]]"), types);
  }

  @Test
  void updatesThatOverlapTheirInputsReadTheOldValues() {
    for (Device on : new Device[] {Device.reference(), Device.cpu()}) {
      Tensor square = on.tensor(new float[] {1, 2, 3, 4}, 2, 2);
      square.assign(square.transpose());
      assertArrayEquals(new float[] {1, 3, 2, 4}, square.toFloats());
      Tensor line = on.tensor(new float[] {1, 2, 3, 4, 5}, 5);
      line.slice(0, 1, 5).assign(line.slice(0, 0, 4));
      assertArrayEquals(new float[] {1, 1, 2, 3, 4}, line.toFloats());
      Ops.update(new MatMul(), new Tensor[] {square}, square, square);
      assertArrayEquals(new float[] {7, 15, 10, 22}, square.toFloats());
    }
  }

  @Test
  void targetsMustFit() {
    Tensor x = counting(2, 3);
    String message =
        assertThrows(ReverieException.class, () -> x.assign(counting(3, 2))).getMessage();
    assertTrue(
        message.contains(
            "copy: expected contiguous targets [F64[3, 2]] on reference, got [F64[2, 3]]"),
        message);
    assertThrows(ReverieException.class, () -> x.transpose().assign(counting(3, 2)));
  }

  @Test
  void valuesMustFitTheShape() {
    String message =
        assertThrows(ReverieException.class, () -> device.tensor(new float[3], 2, 2)).getMessage();
    assertTrue(message.contains("tensor: expected 4 values for shape [2, 2], got 3"), message);
    assertThrows(ReverieException.class, () -> Shape.of(2, -1));
    assertThrows(ReverieException.class, () -> counting(2).item());
    assertThrows(ReverieException.class, () -> counting(2).toInts());
    assertEquals(3.5, device.scalar(3.5).item());
  }

  @Test
  void showsItsFirstValues() {
    assertEquals("Tensor F64[] on reference: -0.5", device.scalar(-0.5).toString());
    assertEquals("Tensor F64[0, 3] on reference: ", counting(0, 3).toString());
    assertEquals(
        "Tensor F64[3, 2] on reference: 0.0, 3.0, 1.0, 4.0, 2.0, 5.0",
        counting(2, 3).transpose().toString());
    assertEquals(
        "Tensor F64[3, 4] on reference: 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, …",
        counting(3, 4).toString());
    assertEquals(
        "Tensor I32[2] on reference: 7, -1", device.indices(new int[] {7, -1}, 2).toString());
    String[] shown = new String[2];
    Tensor x = counting(2);
    CapturedGraph.of(
            device,
            () -> {
              Tensor y = x.add(1);
              shown[0] = x.toString();
              shown[1] = y.toString();
              return new Tensor[] {y};
            })
        .close();
    assertEquals("Tensor F64[2] on reference (no values while a step is captured)", shown[0]);
    assertEquals(shown[0], shown[1]);
  }
}
