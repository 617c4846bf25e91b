// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.catalog;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;
import reverie.tensor.op.Binary;
import reverie.tensor.op.Conv2d;
import reverie.tensor.op.Cost;
import reverie.tensor.op.CustomOp;
import reverie.tensor.op.MatMul;
import reverie.tensor.op.Op;
import reverie.tensor.op.Permute;
import reverie.tensor.op.Reduce;
import reverie.tensor.op.Unary;

class OpCatalogTest {
  private static List<Class<?>> operations(Class<?> sealed) {
    List<Class<?>> leaves = new ArrayList<>();
    for (Class<?> permitted : sealed.getPermittedSubclasses()) {
      if (permitted.isSealed()) {
        leaves.addAll(operations(permitted));
      } else {
        leaves.add(permitted);
      }
    }
    return leaves;
  }

  @Test
  void hasEveryOperationAndKind() {
    Set<Class<?>> expected = new HashSet<>(operations(Op.class));
    expected.remove(CustomOp.class);
    Set<Class<?>> found =
        OpCatalog.prototypes().stream().map(Op::getClass).collect(Collectors.toSet());
    assertEquals(expected, found);
    Set<String> names = OpCatalog.prototypes().stream().map(Op::name).collect(Collectors.toSet());
    int kinds =
        Unary.Kind.values().length + Binary.Kind.values().length + Reduce.Kind.values().length;
    assertEquals(expected.size() - 3 + kinds, names.size());
  }

  @Test
  void everyEntryHasRightAndWrongUses() {
    for (Op op : OpCatalog.prototypes()) {
      assertTrue(OpCatalog.entry(op).samples().size() >= 3, op.name());
      assertFalse(OpCatalog.entry(op).refusals().isEmpty(), op.name());
    }
  }

  @Test
  void labelsAreUnique() {
    List<String> labels = OpCatalog.samples().stream().map(Sample::label).toList();
    assertEquals(labels.size(), Set.copyOf(labels).size());
  }

  @Test
  void inputsDoNotDependOnLayout() {
    try (Scope _ = Scope.open("test")) {
      for (int[] dims : new int[][] {{}, {0}, {1}, {7}, {3, 5}, {2, 3, 4, 5}, {2, 0, 3}}) {
        for (Input input : List.of(Input.normal(dims), Input.indices(9, dims))) {
          Tensor expected = input.tensor(Device.reference(), Rng.of(1), Arrangement.CONTIGUOUS);
          for (Arrangement arrangement : List.of(Arrangement.TRANSPOSED, Arrangement.SLICED)) {
            Tensor got = input.tensor(Device.reference(), Rng.of(1), arrangement);
            assertEquals(expected.type(), got.type());
            assertArrayEquals(expected.toDoubles(), got.toDoubles(), arrangement + " " + input);
            if (got.size() > 1) {
              boolean moved =
                  arrangement == Arrangement.SLICED ? got.offset() > 0 : !got.isContiguous();
              assertTrue(moved, arrangement + " " + input);
            }
          }
        }
      }
      Tensor expanded =
          Input.normal(1, 3, 5).tensor(Device.reference(), Rng.of(1), Arrangement.EXPANDED);
      assertEquals(0, expanded.stride(1));
      assertEquals("[1, 3, 5]", expanded.shape().toString());
    }
  }

  @Test
  void countsWork() {
    TensorType a = new TensorType(DType.F32, reverie.tensor.Shape.of(2, 3, 5));
    TensorType b = a.withShape(5, 4);
    assertEquals(new Cost(240, 4 * (30 + 20 + 24)), Cost.of(new MatMul(), List.of(a, b)));
    assertEquals(new Cost(0, 0), Cost.of(new Permute(2, 1, 0), List.of(a)));
    TensorType x = a.withShape(2, 4, 4, 3);
    TensorType weight = a.withShape(3, 3, 3, 8);
    double outputs = 2 * 4 * 4 * 8;
    assertEquals(2 * outputs * 27, Cost.of(new Conv2d(1, 1), List.of(x, weight)).flops());
  }
}
