// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.catalog;

import static reverie.tensor.catalog.Input.indices;
import static reverie.tensor.catalog.Input.normal;
import static reverie.tensor.catalog.Input.positive;

import reverie.tensor.DType;
import reverie.tensor.catalog.Tolerance.Close;
import reverie.tensor.catalog.Tolerance.Exact;
import reverie.tensor.op.AdamW;
import reverie.tensor.op.Affine;
import reverie.tensor.op.Binary;
import reverie.tensor.op.Clamp;
import reverie.tensor.op.GeluBackward;
import reverie.tensor.op.Lerp;
import reverie.tensor.op.Op;
import reverie.tensor.op.Power;
import reverie.tensor.op.RoundTo;
import reverie.tensor.op.Select;
import reverie.tensor.op.SiluBackward;
import reverie.tensor.op.Unary;

/** Samples of operations that work element by element. */
final class ElementSamples {
  private static final String ONE_TYPE = "expected inputs of one floating-point type";

  /** A scalar, nothing, one element, odd sizes, and more than one thread's share. */
  private static final int[][] SHAPES = {{}, {0}, {1}, {3, 5}, {2, 3, 17}, {4, 0, 3}};

  private static final int LARGE = 40_009;

  private ElementSamples() {}

  /** All shapes with values drawn in one way. */
  private static Entry shapes(Entry entry, Op op, Values values, boolean smooth) {
    for (int[] dims : SHAPES) {
      Input x = Input.of(values, dims);
      entry = smooth ? entry.smooth(op, x) : entry.rough(op, x);
    }
    return entry.rough(op, Input.of(values, LARGE));
  }

  private static Entry one(Op op, Tolerance tolerance, Values values) {
    return shapes(new Entry().within(tolerance), op, values, true)
        .refuse("expected 1 inputs", op, normal(2), normal(2))
        .refuse(ONE_TYPE, op, indices(3, 2));
  }

  static Entry unary(Unary.Kind kind) {
    Op op = new Unary(kind);
    Values wide = Values.uniform(-100, 100);
    Values kinked = Values.apartFrom(0.05, 0);
    return switch (kind) {
      case ABS, RELU, SIGN ->
          one(op, new Exact(), kinked).rough(op, Input.of(Values.of(0, -0.0, 1), 3));
      case COS, SIN ->
          one(op, new Close(0, 5e-7), Values.normal(2))
              .within(new Close(0, 2e-6))
              .rough(op, Input.of(Values.uniform(-1000, 1000), 2003));
      case ERF -> one(op, new Close(1e-6, 1e-37), Values.normal(1)).rough(op, Input.of(wide, 503));
      case EXP ->
          one(op, new Close(1e-6, 0), Values.normal(2))
              .rough(op, Input.of(Values.uniform(-87, 88), 2003));
      case GELU, SILU, TANH ->
          one(op, new Close(1e-6, 2e-7), Values.normal(2)).rough(op, Input.of(wide, 503));
      case LOG ->
          one(op, new Close(1e-6, 1e-7), Values.uniform(0.2, 4))
              .rough(op, Input.of(Values.uniform(1e-30, 1e-20), 503))
              .rough(op, Input.of(Values.uniform(1e10, 1e30), 503));
      case LOG_SIGMOID ->
          one(op, new Close(1e-6, 1e-7), Values.normal(2))
              .within(new Close(1e-5, 1e-37))
              .rough(op, Input.of(Values.uniform(-80, 80), 503));
      case RECIPROCAL -> one(op, new Close(2e-7, 0), Values.uniform(0.5, 3));
      case SIGMOID ->
          one(op, new Close(1e-6, 1e-37), Values.normal(2))
              .rough(op, Input.of(Values.uniform(-85, 85), 503));
      case SQRT ->
          one(op, new Close(2e-7, 0), Values.uniform(0.2, 4)).rough(op, Input.of(Values.of(0), 1));
      case SQUARE -> one(op, new Close(2e-7, 0), Values.normal(2));
    };
  }

  static Entry binary(Binary.Kind kind) {
    Op op = new Binary(kind);
    boolean kinked =
        switch (kind) {
          case GREATER, MAXIMUM, MINIMUM -> true;
          case ADD, DIV, MUL, SUB -> false;
        };
    Values a = kinked ? Values.grid(0.1, 0) : Values.normal(1);
    Values b =
        kinked
            ? Values.grid(0.1, 0.05)
            : kind == Binary.Kind.DIV ? Values.uniform(0.5, 2) : Values.normal(1);
    Entry entry = new Entry().within(kinked ? new Exact() : new Close(2e-7, 0));
    int[][][] pairs = {
      {{}, {}},
      {{1}, {}},
      {{3, 5}, {3, 5}},
      {{3, 5}, {5}},
      {{5}, {3, 5}},
      {{3, 1}, {1, 5}},
      {{2, 3, 17}, {3, 1}},
      {{7}, {}},
      {{2, 1, 3, 1}, {4, 1, 5}},
      {{0, 3}, {1, 3}},
      {{0}, {1}},
      {{2, 3, 4, 7}, {2, 1, 1, 7}}
    };
    for (int[][] pair : pairs) {
      entry.smooth(op, Input.of(a, pair[0]), Input.of(b, pair[1]));
    }
    return entry
        .rough(op, Input.of(a, LARGE), Input.of(b, LARGE))
        .rough(op, Input.of(a, 101, 1, 31), Input.of(b, 13, 1))
        .rough(op, Input.of(Values.grid(0.5, 0.25), 503), Input.of(Values.grid(0.5, 0.25), 503))
        .refuse("expected shapes that broadcast, got [3, 5] and [3]", op, normal(3, 5), normal(3))
        .refuse("expected 2 inputs", op, normal(3))
        .refuse(ONE_TYPE, op, normal(3), indices(2, 3));
  }

  static Entry affine() {
    Op op = new Affine(-1.5, 0.25);
    // −1.5x may cancel with the shift.
    return one(op, new Close(2e-7, 2e-7), Values.normal(1)).rough(new Affine(0, 3), normal(5));
  }

  static Entry clamp() {
    return one(new Clamp(-0.7, 0.9), new Exact(), Values.apartFrom(0.05, -0.7, 0.9))
        .rough(new Clamp(-1, 1), Input.of(Values.of(-1, 1, 2, -2), 4))
        .rough(new Clamp(0, Double.POSITIVE_INFINITY), normal(11))
        .refuseMaking("clamp: expected low ≤ high, got 2.0 and 1.0", () -> new Clamp(2, 1));
  }

  static Entry power() {
    Entry entry = one(new Power(-0.5), new Close(3e-6, 0), Values.uniform(0.3, 3));
    for (double exponent : new double[] {0.5, 1.7, 2, 3, -1, 0}) {
      entry.smooth(new Power(exponent), positive(3, 7));
    }
    return entry.rough(new Power(2), normal(19)).rough(new Power(3), normal(19));
  }

  static Entry roundTo() {
    Entry entry = new Entry();
    for (DType narrow : new DType[] {DType.BF16, DType.F16, DType.F32, DType.F64}) {
      shapes(entry, new RoundTo(narrow), Values.normal(1), false);
      entry.rough(
          new RoundTo(narrow),
          Input.of(Values.of(0, -0.0, 1.00390625, 1.01171875, 65519, 65521, 1e-7, 3e38), 8));
    }
    return entry
        .refuse(ONE_TYPE, new RoundTo(DType.BF16), indices(3, 2))
        .refuseMaking(
            "round_to: expected a floating-point type, got I32", () -> new RoundTo(DType.I32));
  }

  static Entry select() {
    Op op = new Select();
    Values mask = Values.below(2);
    // The mask's own gradient is 0 by definition and so is the derivative, away from 0.
    Values away = Values.of(1);
    return new Entry()
        .smooth(op, Input.of(away), normal(), normal())
        .smooth(op, Input.of(away, 1), normal(3, 5), normal(5))
        .rough(op, Input.of(mask, 3, 5), normal(3, 5), normal(3, 5))
        .rough(op, Input.of(mask, 3, 1), normal(5), normal(2, 1, 1))
        .rough(op, Input.of(mask, 0), normal(1), normal(1))
        .rough(op, Input.of(mask, LARGE), normal(LARGE), normal(LARGE))
        .rough(op, Input.of(mask, 7), normal(7), Input.of(Values.of(Double.NaN)))
        .refuse(
            "expected shapes that broadcast, got [3] and [4]", op, normal(3), normal(3), normal(4))
        .refuse("expected 3 inputs", op, normal(3), normal(3));
  }

  static Entry siluBackward() {
    return backward(new SiluBackward());
  }

  static Entry geluBackward() {
    return backward(new GeluBackward());
  }

  private static Entry backward(Op op) {
    Entry entry = new Entry().within(new Close(1e-6, 1e-6));
    for (int[] dims : SHAPES) {
      entry.smooth(op, normal(dims), normal(dims));
    }
    return entry
        .rough(op, normal(LARGE), normal(LARGE))
        .rough(op, Input.of(Values.uniform(-60, 60), 503), normal(503))
        .refuse("expected inputs 0 and 1 of the same shape and type", op, normal(3), normal(4))
        .refuse("expected 2 inputs", op, normal(3));
  }

  static Entry lerp() {
    Entry entry = new Entry().within(new Close(3e-7, 3e-7));
    for (int[] dims : SHAPES) {
      entry.smooth(new Lerp(), normal(dims), normal(dims), Input.of(Values.uniform(0, 1), 1));
    }
    return entry
        .rough(new Lerp(), normal(LARGE), normal(LARGE), Input.of(Values.of(0.001), 1))
        .refuse(
            "expected weight (input 2) of shape [1]", new Lerp(), normal(3), normal(3), normal())
        .refuse(
            "expected inputs 0 and 1 of the same shape",
            new Lerp(),
            normal(3),
            normal(4),
            normal(1));
  }

  static Entry adamW() {
    Op op = new AdamW(0.9, 0.99, 1e-8, 0.01);
    Input control = Input.of(Values.uniform(0.4, 0.9), 4);
    Entry entry = new Entry().within(new Close(2e-6, 1e-6));
    for (int[] dims : SHAPES) {
      entry.smooth(op, normal(dims), normal(dims), normal(dims), positive(dims), control);
    }
    return entry
        .rough(op, normal(LARGE), normal(LARGE), normal(LARGE), positive(LARGE), control)
        .refuse(
            "expected control (input 4) of shape [4]",
            op,
            normal(3),
            normal(3),
            normal(3),
            normal(3),
            normal(3))
        .refuse(
            "expected inputs 0 and 2 of the same",
            op,
            normal(3),
            normal(3),
            normal(2),
            normal(3),
            normal(4));
  }
}
