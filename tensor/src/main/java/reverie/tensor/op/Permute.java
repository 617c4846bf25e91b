// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import reverie.tensor.Layout;
import reverie.tensor.Shape;
import reverie.tensor.TensorType;

/** A view in which axis i is the input's axis {@code axes[i]}. */
public record Permute(int... axes) implements View {
  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 1, 1);
    int rank = inputs.getFirst().shape().rank();
    Rule.require(
        Arrays.equals(IntStream.of(axes).sorted().toArray(), IntStream.range(0, rank).toArray()),
        this,
        "every axis once in " + Arrays.toString(axes),
        inputs);
    return Rule.one(
        inputs
            .getFirst()
            .withShape(IntStream.of(axes).map(inputs.getFirst().shape()::dim).toArray()));
  }

  @Override
  public Optional<Layout> view(Layout input) {
    int[] dims = IntStream.of(axes).map(input.shape()::dim).toArray();
    int[] strides = IntStream.of(axes).map(input::stride).toArray();
    return Optional.of(new Layout(Shape.of(dims), strides, input.offset()));
  }

  /** The permutation that undoes this one. */
  public Permute inverse() {
    int[] back = new int[axes.length];
    for (int i = 0; i < axes.length; i++) {
      back[axes[i]] = i;
    }
    return new Permute(back);
  }
}
