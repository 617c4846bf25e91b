// SPDX-License-Identifier: Apache-2.0
package reverie.autograd.nn;

import java.util.function.UnaryOperator;
import reverie.tensor.ReverieException;
import reverie.tensor.Shape;
import reverie.tensor.Tensor;

/**
 * A named tensor that training may change. Made by {@link Parameters#create}, in whose scope its
 * memory lives.
 */
public final class Parameter {
  private final String name;
  private final AxisOrder axisOrder;
  private final Shape shape;
  private final Tensor value;
  private boolean trainable = true;
  private UnaryOperator<Tensor> adapter = UnaryOperator.identity();

  Parameter(String name, AxisOrder axisOrder, Shape shape, Tensor value) {
    this.name = name;
    this.axisOrder = axisOrder;
    this.shape = shape;
    this.value = value;
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

  /** The stored values: what an optimizer changes and files hold; always this very tensor. */
  public Tensor value() {
    if (value == null) {
      throw new ReverieException("parameter: " + name + " has a shape only, " + shape);
    }
    return value;
  }

  /** What layers compute with: the stored values plus what an adapter such as LoRA adds. */
  public Tensor effective() {
    return adapter.apply(value());
  }

  /** Whether training changes it. */
  public boolean trainable() {
    return trainable;
  }

  /** Sets whether training changes it. */
  public void setTrainable(boolean trainable) {
    this.trainable = trainable;
  }

  void adapt(UnaryOperator<Tensor> newAdapter) {
    adapter = newAdapter;
  }

  @Override
  public String toString() {
    return name + shape;
  }
}
