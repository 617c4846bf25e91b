// SPDX-License-Identifier: Apache-2.0
package reverie.autograd.optim;

import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.Map;
import reverie.autograd.nn.Parameter;
import reverie.tensor.CaptureException;
import reverie.tensor.Capturing;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.op.Binary;
import reverie.tensor.op.Fill;

/**
 * Sums the gradients of several backward passes, so that the memory of a step does not grow with
 * their number. The sum lies in one piece of memory of its own: measuring it is one operation.
 *
 * <p>The first pass writes its gradient there, and nothing is added to zeros. What is there before
 * another pass that writes is set aside, and added again when somebody asks for the sum.
 */
public final class GradientAccumulator implements AutoCloseable {
  private static final Binary ADD = new Binary(Binary.Kind.ADD);

  private final Scope scope = Scope.detached("gradients");
  private final Tensor all;
  private final Map<Parameter, Tensor> parts = new LinkedHashMap<>();

  /** Whether the sum is zero, whatever the memory holds. */
  private boolean empty = true;

  /** Sums that were set aside; null before that. */
  private Tensor others;

  private boolean incomplete;

  /** Starts at zero. */
  public GradientAccumulator(Collection<Parameter> parameters) {
    if (parameters.isEmpty()) {
      throw new ReverieException("gradients: expected at least one parameter to train, got none");
    }
    int total = Math.toIntExact(parameters.stream().mapToLong(p -> p.shape().size()).sum());
    try (Scope _ = Scope.open("gradients")) {
      all = scope.adopt(parameters.iterator().next().value().device().zeros(total));
      int from = 0;
      for (Parameter p : parameters) {
        int to = from + Math.toIntExact(p.shape().size());
        parts.put(p, all.slice(0, from, to).reshape(p.shape().dims()));
        from = to;
      }
    }
  }

  /** Where the sum of each parameter is, once it is {@linkplain #complete complete}. */
  Map<Parameter, Tensor> parts() {
    return parts;
  }

  /** Has the memory hold the sum, to be read and added to. */
  void complete() {
    if (!empty && !incomplete) {
      return;
    }
    if (Capturing.isActive()) {
      throw new CaptureException(
          "gradients: the sum was asked for in a captured step before it was complete",
          "ask for all() outside, before each run of the step");
    }
    if (empty) {
      Ops.update(new Fill(0, all.shape()), new Tensor[] {all});
    } else {
      Ops.update(ADD, new Tensor[] {all}, others, all);
    }
    empty = false;
    incomplete = false;
  }

  /** Has the memory free for the gradient of a pass that writes all of it. */
  void makeRoom() {
    if (!empty) {
      if (others == null) {
        try (Scope _ = Scope.open("gradients")) {
          others = scope.adopt(all.device().zeros(all.shape().dims()));
        }
      }
      if (incomplete) {
        Ops.update(ADD, new Tensor[] {others}, others, all);
      } else {
        others.assign(all);
      }
      incomplete = true;
    }
    empty = false;
  }

  /** The sum so far; its values are valid until the next pass. */
  public Tensor gradient(Parameter parameter) {
    complete();
    return parts.get(parameter);
  }

  /**
   * The sums of all parameters one after the other, {@code [n]}; not a copy, its values are valid
   * until the next pass.
   */
  public Tensor all() {
    complete();
    return all;
  }

  /** The Euclidean norm of all gradients together, a scalar. */
  public Tensor norm() {
    return all().norm();
  }

  /**
   * The norm as a number.
   *
   * @param norm what {@link #norm} gave
   * @throws ReverieException if it is infinite or not a number, with the first parameter whose
   *     gradient is
   */
  public double requireFinite(Tensor norm) {
    double value = norm.item();
    if (Double.isFinite(value)) {
      return value;
    }
    String culprit = "";
    for (Map.Entry<Parameter, Tensor> part : parts.entrySet()) {
      double own = length(part.getValue());
      if (!Double.isFinite(own)) {
        culprit = ", first for " + part.getKey().name() + " (" + own + ")";
        break;
      }
    }
    throw new ReverieException(
        "gradients: expected a finite norm, got " + value + culprit,
        "lower the learning rate or clip tighter, and look for NaN in inputs and rewards");
  }

  /**
   * The factor that shortens a gradient of this norm to {@code largest}, a scalar: 1 if it is no
   * longer than that.
   */
  public static Tensor clipFactor(Tensor norm, double largest) {
    Tensor most = norm.device().scalar(largest);
    return most.div(norm.maximum(most));
  }

  /** Starts again from zero. */
  public void clear() {
    empty = true;
    incomplete = false;
  }

  private static double length(Tensor t) {
    try (Scope _ = Scope.open("norm")) {
      return t.norm().item();
    }
  }

  /** Frees the memory. */
  @Override
  public void close() {
    scope.close();
  }
}
