// SPDX-License-Identifier: Apache-2.0
package reverie.autograd.nn;

import java.util.ArrayList;
import java.util.List;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.Shape;
import reverie.tensor.Tensor;
import reverie.tensor.op.Copy;

/**
 * A named tensor that training may change. Made by {@link Parameters#create}, in whose scope its
 * memory lives.
 */
public final class Parameter {
  private final String name;
  private final AxisOrder axisOrder;
  private final Shape shape;
  private final Tensor value;
  private final Narrow narrow;
  private boolean trainable = true;
  private final List<Adaptation> adaptations = new ArrayList<>();

  Parameter(String name, AxisOrder axisOrder, Shape shape, Tensor value) {
    this.name = name;
    this.axisOrder = axisOrder;
    this.shape = shape;
    this.value = value;
    narrow = null;
  }

  /** One that is held in 16 bits, so that no training can change it. */
  Parameter(String name, AxisOrder axisOrder, Narrow narrow) {
    this.name = name;
    this.axisOrder = axisOrder;
    this.shape = narrow.shape();
    this.narrow = narrow;
    value = null;
    trainable = false;
  }

  /** The full dotted name, as in files. */
  public String name() {
    return name;
  }

  /** How its axes are ordered in files. */
  public AxisOrder axisOrder() {
    return axisOrder;
  }

  /** The shape inside, known even without a value. */
  public Shape shape() {
    return shape;
  }

  /** The shape in files. */
  public Shape fileShape() {
    return axisOrder.fileShape(shape);
  }

  /**
   * The stored values: what an optimizer changes and files hold; always this very tensor.
   *
   * @throws ReverieException if they are held in 16 bits: see {@link #read}
   */
  public Tensor value() {
    if (narrow != null) {
      throw new ReverieException(
          "parameter: " + name + " is held in " + narrow.dtype() + ", which cannot be trained",
          "train adapters, or load the weights in float32");
    }
    if (value == null) {
      throw new ReverieException("parameter: " + name + " has a shape only, " + shape);
    }
    return value;
  }

  /** What layers compute with: the stored values plus what an adapter such as LoRA adds. */
  public Tensor effective() {
    Tensor effective = read();
    for (Adaptation adaptation : adaptations) {
      effective = adaptation.ofWeight(effective);
    }
    return effective;
  }

  /**
   * A linear layer's {@code x·weightᵀ + bias + residual}, with what adapters add.
   *
   * @param bias null for none
   * @param residual null for none
   */
  Tensor linear(Tensor x, Tensor bias, Tensor residual) {
    Tensor weight = read();
    for (Adaptation adaptation : adaptations) {
      weight = adaptation.addsToOutput() ? weight : adaptation.ofWeight(weight);
    }
    Tensor y = Ops.linear(x, weight, bias, residual);
    for (Adaptation adaptation : adaptations) {
      y = adaptation.addsToOutput() ? adaptation.ofOutput(x, y) : y;
    }
    return y;
  }

  /**
   * The values as floats: {@link #value}, or a copy of those held in 16 bits, in the open scope.
   */
  public Tensor read() {
    return narrow == null ? value() : narrow.read();
  }

  /**
   * Takes over values, rounded to what they are held in.
   *
   * @param values of the same shape
   * @throws ReverieException if one is too large for that
   */
  public void write(Tensor values) {
    if (narrow == null) {
      value().assign(values);
    } else {
      narrow.write(name, values);
    }
  }

  /** The same in other memory, which {@code scope} holds. */
  Parameter copiedTo(Scope scope) {
    Parameter copy;
    if (narrow == null) {
      Tensor own;
      try (Scope _ = Scope.open("copy")) {
        own = scope.adopt(Ops.apply(new Copy(), value()));
      }
      copy = new Parameter(name, axisOrder, shape, own);
    } else {
      copy = new Parameter(name, axisOrder, narrow.copiedTo(scope));
    }
    copy.trainable = trainable;
    return copy;
  }

  /** Whether its values are held in 16 bits. */
  public boolean isNarrow() {
    return narrow != null;
  }

  /** Whether training changes it. */
  public boolean trainable() {
    return trainable;
  }

  /** Sets whether training changes it; what is held in 16 bits stays as it is. */
  public void setTrainable(boolean trainable) {
    this.trainable = trainable && narrow == null;
  }

  /** Computes with what an adapter adds, and with what those before it do. */
  void adapt(Adaptation adaptation) {
    adaptations.add(adaptation);
  }

  void release(Adaptation adaptation) {
    adaptations.remove(adaptation);
  }

  @Override
  public String toString() {
    return name + shape;
  }
}
