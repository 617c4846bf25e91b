// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import java.util.Locale;
import reverie.tensor.DType;
import reverie.tensor.ReverieException;
import reverie.tensor.Shape;
import reverie.tensor.TensorType;

/** The checks that operations make of their inputs, worded alike. */
final class Rule {
  private Rule() {}

  static String snakeCase(String name) {
    return name.replaceAll("(?<=[a-z0-9])(?=[A-Z])", "_").toLowerCase(Locale.ROOT);
  }

  static List<TensorType> one(TensorType type) {
    return List.of(type);
  }

  static void count(Op op, List<TensorType> inputs, int least, int most) {
    if (inputs.size() < least || inputs.size() > most) {
      String expected = least == most ? "" + least : least + " to " + most;
      throw new ReverieException(op.name() + ": expected " + expected + " inputs, got " + inputs);
    }
  }

  static void require(boolean holds, Op op, String expected, List<TensorType> inputs) {
    if (!holds) {
      throw new ReverieException(op.name() + ": expected " + expected + ", got " + inputs);
    }
  }

  static void sameType(Op op, List<TensorType> inputs, int a, int b) {
    require(
        inputs.get(a).equals(inputs.get(b)),
        op,
        "inputs " + a + " and " + b + " of the same shape and type",
        inputs);
  }

  static void shape(Op op, List<TensorType> inputs, int index, String what, int... dims) {
    require(
        inputs.get(index).shape().equals(Shape.of(dims)),
        op,
        what + " (input " + index + ") of shape " + Shape.of(dims),
        inputs);
  }

  static void rank(Op op, List<TensorType> inputs, int index, int rank) {
    require(
        inputs.get(index).shape().rank() == rank,
        op,
        "input " + index + " of rank " + rank,
        inputs);
  }

  static void rankAtLeast(Op op, List<TensorType> inputs, int index, int rank) {
    require(
        inputs.get(index).shape().rank() >= rank,
        op,
        "input " + index + " of rank " + rank + " or more",
        inputs);
  }

  static void floating(Op op, List<TensorType> inputs) {
    DType first = inputs.getFirst().dtype();
    require(
        first.isFloating() && inputs.stream().allMatch(t -> t.dtype() == first),
        op,
        "inputs of one floating-point type",
        inputs);
  }
}
