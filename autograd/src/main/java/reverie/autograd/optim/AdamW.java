// SPDX-License-Identifier: Apache-2.0
package reverie.autograd.optim;

import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Function;
import reverie.autograd.nn.Parameter;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * AdamW (Loshchilov and Hutter 2019): its two moments per parameter and the number of steps are its
 * whole state.
 */
public final class AdamW implements AutoCloseable {
  private static final String FIRST = "first_moment.";
  private static final String SECOND = "second_moment.";

  /** β₁, β₂, ε and λ. */
  public record Options(double beta1, double beta2, double epsilon, double weightDecay) {
    /** Checks the ranges. */
    public Options {
      if (!(beta1 >= 0
          && beta1 < 1
          && beta2 >= 0
          && beta2 < 1
          && epsilon > 0
          && weightDecay >= 0)) {
        throw new ReverieException(
            "adamw: expected 0 ≤ β < 1, ε > 0 and weight decay ≥ 0, got β₁="
                + beta1
                + " β₂="
                + beta2
                + " ε="
                + epsilon
                + " weight decay="
                + weightDecay);
      }
    }

    /** PyTorch's: 0.9, 0.999, 1e-8, and the given weight decay. */
    public static Options weightDecay(double weightDecay) {
      return new Options(0.9, 0.999, 1e-8, weightDecay);
    }
  }

  private record Moments(Tensor first, Tensor second) {}

  private final Options options;
  private final reverie.tensor.op.AdamW op;
  private final Scope scope = Scope.detached("adamw");
  private final Map<Parameter, Moments> moments = new LinkedHashMap<>();
  private final Tensor control;
  private final Tensor rates;
  private final Tensor factor;
  private long steps;

  /** Moments of zero for each of these parameters. */
  public AdamW(Collection<Parameter> parameters, Options options) {
    if (parameters.isEmpty()) {
      throw new ReverieException("adamw: expected at least one parameter to train, got none");
    }
    this.options = options;
    op =
        new reverie.tensor.op.AdamW(
            options.beta1, options.beta2, options.epsilon, options.weightDecay);
    try (Scope _ = Scope.open("adamw")) {
      for (Parameter p : parameters) {
        moments.put(p, new Moments(zeros(p), zeros(p)));
      }
      control = scope.adopt(parameters.iterator().next().value().device().zeros(4));
      rates = control.slice(0, 0, 3);
      factor = control.slice(0, 3, 4);
    }
  }

  private Tensor zeros(Parameter p) {
    return scope.adopt(p.value().device().zeros(p.shape().dims()));
  }

  /**
   * Changes every parameter.
   *
   * @param gradient of a parameter, of its shape
   * @param gradientFactor multiplies all gradients: clipping, and the mean over accumulated passes
   */
  public void step(
      Function<Parameter, Tensor> gradient, double learningRate, double gradientFactor) {
    try (Scope _ = Scope.open("adamw step")) {
      advance(learningRate);
      apply(gradient, control.device().scalar(gradientFactor));
    }
  }

  /**
   * Begins a step: sets the numbers that differ from step to step. With {@link #apply} it is {@link
   * #step} in two halves, of which the other can be captured.
   */
  public void advance(double learningRate) {
    steps++;
    rates.assign(
        new double[] {
          learningRate, 1 - Math.pow(options.beta1, steps), 1 - Math.pow(options.beta2, steps)
        });
  }

  /**
   * Changes every parameter by the step that was begun.
   *
   * @param gradient of a parameter, of its shape
   * @param gradientFactor a scalar that multiplies all gradients
   */
  public void apply(Function<Parameter, Tensor> gradient, Tensor gradientFactor) {
    factor.assign(gradientFactor.reshape(1));
    moments.forEach((p, m) -> {
      Tensor[] state = {p.value(), m.first, m.second};
      Ops.update(op, state, p.value(), gradient.apply(p), m.first, m.second, control);
    });
  }

  /** How many steps have been made. */
  public long steps() {
    return steps;
  }

  /** The moments by name, for saving; the tensors themselves, not copies. */
  public Map<String, Tensor> state() {
    Map<String, Tensor> state = new LinkedHashMap<>();
    moments.forEach((p, m) -> {
      state.put(FIRST + p.name(), m.first);
      state.put(SECOND + p.name(), m.second);
    });
    return state;
  }

  /**
   * Goes on from a saved {@link #state()}.
   *
   * @throws ReverieException if a moment is missing or has another shape
   */
  public void restore(Map<String, Tensor> state, long stepsMade) {
    state()
        .forEach((name, target) -> {
          Tensor source = state.get(name);
          if (source == null || !source.type().equals(target.type())) {
            throw new ReverieException(
                "adamw: expected "
                    + name
                    + " "
                    + target.type()
                    + " in the saved state, got "
                    + (source == null ? "none" : source.type()),
                "the state belongs to another model or another choice of trained parameters");
          }
          target.assign(source);
        });
    steps = stepsMade;
  }

  /** Frees the moments. */
  @Override
  public void close() {
    scope.close();
  }
}
