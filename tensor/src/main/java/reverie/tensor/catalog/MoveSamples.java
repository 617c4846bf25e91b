// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.catalog;

import static reverie.tensor.catalog.Input.indices;
import static reverie.tensor.catalog.Input.normal;

import reverie.tensor.DType;
import reverie.tensor.Shape;
import reverie.tensor.catalog.Tolerance.Close;
import reverie.tensor.catalog.Tolerance.Terms;
import reverie.tensor.op.Concat;
import reverie.tensor.op.Copy;
import reverie.tensor.op.Embedding;
import reverie.tensor.op.EuclideanNorm;
import reverie.tensor.op.Expand;
import reverie.tensor.op.Fill;
import reverie.tensor.op.Op;
import reverie.tensor.op.Pad;
import reverie.tensor.op.Permute;
import reverie.tensor.op.RandomNormal;
import reverie.tensor.op.Reduce;
import reverie.tensor.op.Reshape;
import reverie.tensor.op.ScatterRows;
import reverie.tensor.op.Slice;
import reverie.tensor.op.Widen;

/** Samples of operations that make, move, gather and add up elements. */
final class MoveSamples {
  private MoveSamples() {}

  static Entry copy() {
    Op op = new Copy();
    return new Entry()
        .smooth(op, normal())
        .smooth(op, normal(0))
        .smooth(op, normal(3, 5))
        .smooth(op, normal(2, 3, 1, 7))
        .rough(op, indices(9, 3, 5))
        .rough(op, normal(3, 67, 129))
        .rough(op, normal(9, 700, 20))
        .rough(op, normal(40_009))
        .refuse("expected 1 inputs", op);
  }

  static Entry concat() {
    return new Entry()
        .smooth(new Concat(0), normal(3))
        .smooth(new Concat(0), normal(3), normal(0), normal(5))
        .smooth(new Concat(1), normal(2, 3), normal(2, 1), normal(2, 5))
        .smooth(new Concat(1), normal(2, 3, 5), normal(2, 4, 5))
        .smooth(new Concat(2), normal(2, 0, 5), normal(2, 0, 1))
        .rough(new Concat(3), normal(2, 13, 7, 33), normal(2, 13, 7, 16))
        .rough(new Concat(0), indices(5, 3, 2), indices(5, 1, 2))
        .refuse(
            "expected inputs that differ in axis 1 only", new Concat(1), normal(2, 3), normal(3, 3))
        .refuse(
            "expected inputs that differ in axis 0 only", new Concat(0), normal(3), indices(2, 3))
        .refuse("expected input 0 of rank 2 or more", new Concat(1), normal(3))
        .refuse("expected 1 to 2147483647 inputs", new Concat(0));
  }

  static Entry pad() {
    return new Entry()
        .smooth(new Pad(0, 1, 2), normal(3))
        .smooth(new Pad(1, 0, 3), normal(2, 3, 5))
        .smooth(new Pad(2, 2, 0), normal(2, 3, 5))
        .smooth(new Pad(0, 0, 0), normal(2, 3))
        .smooth(new Pad(0, 2, 0), normal(0, 3))
        .rough(new Pad(1, 1, 1), normal(5, 61, 37))
        .refuse("widths of at least 0 but axis 0, -1 and 0", new Pad(0, -1, 0), normal(3))
        .refuse("expected an axis of the input", new Pad(1, 1, 1), normal(3));
  }

  static Entry expand() {
    return new Entry()
        .smooth(new Expand(Shape.of(3)), normal())
        .smooth(new Expand(Shape.of(3, 5)), normal(5))
        .smooth(new Expand(Shape.of(2, 3, 5)), normal(3, 1))
        .smooth(new Expand(Shape.of(0, 3)), normal(1, 3))
        .rough(new Expand(Shape.of(2, 2)), indices(3, 2))
        .refuse(
            "expected shapes that broadcast, got [2] and [3]", new Expand(Shape.of(3)), normal(2))
        .refuse("expected a shape that broadcasts to [1]", new Expand(Shape.of(1)), normal(2));
  }

  static Entry permute() {
    return new Entry()
        .smooth(new Permute(), normal())
        .smooth(new Permute(1, 0), normal(3, 5))
        .smooth(new Permute(2, 0, 1), normal(2, 3, 5))
        .smooth(new Permute(0, 2, 1, 3), normal(2, 3, 1, 4))
        .smooth(new Permute(1, 0), normal(0, 3))
        .rough(new Permute(1, 0), indices(9, 2, 3))
        .refuse("expected every axis once in [0, 0]", new Permute(0, 0), normal(2, 2))
        .refuse("expected every axis once in [0, 1]", new Permute(0, 1), normal(2));
  }

  static Entry reshape() {
    return new Entry()
        .smooth(new Reshape(Shape.of()), normal(1, 1))
        .smooth(new Reshape(Shape.of(6)), normal(2, 3))
        .smooth(new Reshape(Shape.of(5, 1, 6)), normal(2, 3, 5))
        .smooth(new Reshape(Shape.of(3, 0)), normal(0, 7))
        .rough(new Reshape(Shape.of(3, 2)), indices(9, 2, 3))
        .refuse("expected 5 elements for shape [5]", new Reshape(Shape.of(5)), normal(2, 3));
  }

  static Entry slice() {
    return new Entry()
        .smooth(new Slice(0, 0, 3), normal(3))
        .smooth(new Slice(1, 1, 2), normal(2, 3, 5))
        .smooth(new Slice(0, 2, 2), normal(3, 5))
        .rough(new Slice(1, 2, 3), indices(9, 2, 3))
        .refuse("expected elements 2 to 4 of axis 0", new Slice(0, 2, 4), normal(3))
        .refuse("expected elements 0 to 1 of axis 1", new Slice(1, 0, 1), normal(3));
  }

  static Entry fill() {
    return new Entry()
        .rough(new Fill(1.5, Shape.of()))
        .rough(new Fill(-0.1, Shape.of(3, 7)))
        .rough(new Fill(0, Shape.of(2, 0)))
        .rough(new Fill(Double.NaN, Shape.of(40_009)))
        .refuse("expected 0 inputs", new Fill(0, Shape.of()), normal());
  }

  static Entry randomNormal() {
    return new Entry()
        // Where log or cosine is near 0 only the absolute error is small.
        .within(new Close(2e-6, 2e-6))
        .rough(random(1, 1))
        .rough(random(3, 7, 5))
        .rough(random(2, 0))
        .rough(random(0, 3))
        .rough(random(2, 20_011))
        .refuseMaking(
            "random_normal: expected one seed and stream per row of [2, 3], got 1 and 1",
            () -> new RandomNormal(new long[1], new long[1], Shape.of(2, 3)));
  }

  private static Op random(int... dims) {
    long[] seeds = new long[dims[0]];
    long[] streams = new long[dims[0]];
    for (int i = 0; i < dims[0]; i++) {
      seeds[i] = -5 + i;
      streams[i] = 0x123456789ABCL * i;
    }
    return new RandomNormal(seeds, streams, Shape.of(dims));
  }

  static Entry embedding() {
    Op op = new Embedding();
    Input outside = new Input(true, Shape.of(4), Values.of(0, -1, 5, Integer.MIN_VALUE));
    return new Entry()
        .smooth(op, normal(5, 3), indices(5))
        .smooth(op, normal(5, 3), indices(5, 7))
        .smooth(op, normal(5, 1), indices(5, 2, 3))
        .smooth(op, normal(5, 3), indices(5, 0))
        .smooth(op, normal(5, 0), indices(5, 2))
        .rough(op, normal(5, 3), outside)
        .rough(op, normal(101, 77), indices(101, 13, 9))
        .refuse("expected a floating-point table and I32 indices", op, normal(5, 3), normal(2))
        .refuse("expected input 0 of rank 2", op, normal(5), indices(5, 2));
  }

  static Entry widen() {
    // Words of small numbers fill the lower half, those of large ones the upper.
    Values edges = Values.of(0x7f800000, 0x7c00, -0x7f00000, 0x3f803f80, 0x8000, 1, 0x7f81, 0xffff);
    Entry entry = new Entry();
    for (DType from : new DType[] {DType.BF16, DType.F16}) {
      entry
          .smooth(new Widen(from, Shape.of(3, 5)), indices(1 << 15, 8))
          .smooth(new Widen(from, Shape.of(2, 1, 2)), indices(1 << 24, 2))
          .smooth(new Widen(from, Shape.of(0, 3)), indices(1, 0))
          .smooth(new Widen(from, Shape.of()), indices(1 << 16, 1))
          .rough(new Widen(from, Shape.of(15)), new Input(true, Shape.of(8), edges))
          .rough(new Widen(from, Shape.of(257, 129)), indices(1 << 24, 16577))
          .refuse("expected I32[8] for [3, 5]", new Widen(from, Shape.of(3, 5)), indices(9, 7))
          .refuse("expected I32[2] for [3]", new Widen(from, Shape.of(3)), normal(2));
    }
    return entry.refuseMaking(
        "widen: expected F16 or BF16, got F32", () -> new Widen(DType.F32, Shape.of()));
  }

  static Entry scatterRows() {
    Input outside = new Input(true, Shape.of(4), Values.of(0, -1, 5, 2));
    return new Entry()
        .within(new Terms(130))
        .smooth(new ScatterRows(5), normal(3), indices(5))
        .smooth(new ScatterRows(5), normal(7, 3), indices(5, 7))
        .smooth(new ScatterRows(2), normal(2, 3, 1), indices(2, 2, 3))
        .smooth(new ScatterRows(4), normal(0, 3), indices(4, 0))
        .rough(new ScatterRows(5), normal(4, 3), outside)
        .rough(new ScatterRows(11), normal(13, 9, 77), indices(11, 13, 9))
        .refuse(
            "expected dy[…, d] and I32 indices[…]", new ScatterRows(5), normal(4, 3), indices(5, 3))
        .refuse(
            "expected dy[…, d] and I32 indices[…]", new ScatterRows(5), normal(4, 3), normal(4));
  }

  static Entry euclideanNorm() {
    Op op = new EuclideanNorm();
    return new Entry()
        .within(new Tolerance.Largest(1e-6))
        .smooth(op, normal())
        .smooth(op, normal(1))
        .smooth(op, normal(3, 5))
        .smooth(op, normal(2, 3, 17))
        .rough(op, normal(0))
        .rough(op, normal(8, 16))
        .rough(op, normal(40_009))
        .rough(op, normal(3, 61, 1201))
        .refuse("expected 1 inputs", op, normal(2), normal(2))
        .refuse("expected inputs of one floating-point type", op, indices(3, 2));
  }

  static Entry reduce(Reduce.Kind kind) {
    int[] all3 = {0, 1, 2};
    Entry entry = new Entry();
    reduction(entry, kind, Shape.of(), true);
    reduction(entry, kind, Shape.of(1), true, 0);
    reduction(entry, kind, Shape.of(7), true, 0);
    reduction(entry, kind, Shape.of(3, 5), true);
    reduction(entry, kind, Shape.of(3, 5), true, 0);
    reduction(entry, kind, Shape.of(3, 5), true, 1);
    reduction(entry, kind, Shape.of(2, 3, 17), true, 1);
    reduction(entry, kind, Shape.of(2, 3, 4, 5), true, 1, 3);
    reduction(entry, kind, Shape.of(2, 3, 4, 5), true, 0, 2);
    reduction(entry, kind, Shape.of(3, 0), true, 1);
    reduction(entry, kind, Shape.of(0, 3), true, 0);
    reduction(entry, kind, Shape.of(0, 3), true, 1);
    reduction(entry, kind, Shape.of(40_009), false, 0);
    reduction(entry, kind, Shape.of(11, 61, 67), false, all3);
    reduction(entry, kind, Shape.of(11, 61, 67), false, 0, 1);
    reduction(entry, kind, Shape.of(1201, 37), false, 1);
    reduction(entry, kind, Shape.of(2, 13, 13, 33), false, 1, 2);
    return entry
        .refuse("expected axes from 0 to 0 but axis 1", new Reduce(kind, 1), normal(3))
        .refuse("expected inputs of one floating-point type", new Reduce(kind, 0), indices(3, 2));
  }

  private static void reduction(
      Entry entry, Reduce.Kind kind, Shape shape, boolean smooth, int... axes) {
    Op op = new Reduce(kind, axes);
    int terms = 1;
    for (int axis : axes) {
      terms *= shape.dim(axis);
    }
    entry.within(
        switch (kind) {
          case MAX -> new Tolerance.Exact();
          case SUM -> new Terms(terms);
        });
    Values values =
        switch (kind) {
          case MAX -> Values.distinct();
          case SUM -> Values.normal(1);
        };
    Input x = Input.of(values, shape.dims());
    if (smooth) {
      entry.smooth(op, x);
    } else {
      entry.rough(op, x);
    }
  }
}
