// SPDX-License-Identifier: Apache-2.0
package reverie.autograd.optim;

import java.lang.invoke.MethodHandles;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import reverie.autograd.nn.Parameters;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.graph.CapturedFunction;
import reverie.tensor.graph.CapturedGraph;

/**
 * One step of training after another: gradients are summed up by backward passes, then clipped by
 * their global norm and given to AdamW, and a moving average follows the weights. What is the same
 * in every step is captured.
 *
 * <pre>{@code
 * step.begin();
 * Tensor loss = pass.add(batch).sum(); // a BackwardPass over step.gradients()
 * double norm = step.update(learningRate);
 * }</pre>
 */
public final class TrainingStep implements AutoCloseable {
  private static final String WEIGHT = "weight.";
  private static final String AVERAGE = "average.";

  /** The counter of steps in a {@link TrainingState}. */
  public static final String STEPS = "optimizer_steps";

  /** The counter of the average's updates in a {@link TrainingState}; 0 where there is none. */
  public static final String AVERAGE_UPDATES = "average_updates";

  /**
   * How weights move.
   *
   * @param optimizer the options of AdamW
   * @param clipNorm the largest Euclidean norm of all gradients together; 0 to leave them
   * @param emaDecay of the moving average, which warms up; 0 for none
   */
  public record Settings(AdamW.Options optimizer, double clipNorm, double emaDecay) {
    /** Checks the ranges. */
    public Settings {
      if (!(clipNorm >= 0 && emaDecay >= 0 && emaDecay < 1)) {
        throw new ReverieException(
            "training step: expected a clipping norm of at least 0 and a decay from 0 to below 1,"
                + " got "
                + clipNorm
                + " and "
                + emaDecay);
      }
    }
  }

  private final Parameters parameters;
  private final Settings settings;
  private final GradientAccumulator gradients;
  private final AdamW optimizer;
  private final Ema ema;
  private final CapturedFunction<None, Norm> update;

  private record None() {}

  private record Norm(Tensor value) {}

  /** A step of the trainable ones of these parameters, which it moves and does not own. */
  public TrainingStep(Parameters parameters, Settings settings) {
    this.parameters = parameters;
    this.settings = settings;
    gradients = new GradientAccumulator(parameters.trainable());
    optimizer = new AdamW(parameters.trainable(), settings.optimizer);
    ema = settings.emaDecay > 0 ? new Ema(parameters, settings.emaDecay, true) : null;
    update = new CapturedFunction<>(MethodHandles.lookup(), parameters.device(), _ -> apply());
  }

  /** Where backward passes add the gradients of this step. */
  public GradientAccumulator gradients() {
    return gradients;
  }

  /** The moving average of the weights, if one was asked for. */
  public Optional<Parameters> average() {
    return Optional.ofNullable(ema).map(Ema::parameters);
  }

  /** Steps made. */
  public long steps() {
    return optimizer.steps();
  }

  /** Begins a step: forgets the gradients of the last one. */
  public void begin() {
    gradients.clear();
  }

  /**
   * Ends a step: {@link #move}, and waits for the norm.
   *
   * @return the norm of the gradients before clipping
   * @throws ReverieException if it is not finite, with the first parameter whose gradient is not;
   *     the weights are worthless then
   */
  public double update(double learningRate) {
    try (Scope _ = Scope.open("update")) {
      return gradients.requireFinite(move(learningRate));
    }
  }

  /**
   * Moves the weights and their average.
   *
   * @return the norm of the gradients before clipping, to be read before the next step
   */
  public Tensor move(double learningRate) {
    optimizer.advance(learningRate);
    if (ema != null) {
      ema.advance();
    }
    gradients.complete();
    return update.run(new None()).value;
  }

  private Norm apply() {
    Tensor norm = gradients.norm();
    optimizer.apply(
        gradients::gradient,
        settings.clipNorm == 0
            ? norm.device().scalar(1)
            : GradientAccumulator.clipFactor(norm, settings.clipNorm));
    if (ema != null) {
      ema.apply();
    }
    return new Norm(norm);
  }

  /** The captured update; empty before the first. */
  public Optional<CapturedGraph> captured() {
    return update.captured();
  }

  /** Weights, their average, the optimizer's moments and counters; the tensors are no copies. */
  public TrainingState state() {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    parameters.all().forEach(p -> tensors.put(WEIGHT + p.name(), p.value()));
    tensors.putAll(optimizer.state());
    average().ifPresent(a -> a.all().forEach(p -> tensors.put(AVERAGE + p.name(), p.value())));
    Map<String, Long> counters = new LinkedHashMap<>();
    counters.put(STEPS, optimizer.steps());
    counters.put(AVERAGE_UPDATES, ema == null ? 0 : ema.updates());
    return new TrainingState(tensors, counters);
  }

  /**
   * Goes on from a saved {@link #state}; other tensors and counters in it are left alone.
   *
   * @throws ReverieException if something is missing or of another shape; nothing is changed then
   */
  public void restore(TrainingState saved) {
    TrainingState own = state();
    own.tensors()
        .forEach((name, target) -> {
          Tensor source = saved.tensors().get(name);
          if (source == null || !source.type().equals(target.type())) {
            throw new ReverieException(
                "training step: expected "
                    + name
                    + " "
                    + target.type()
                    + " in the saved state, got "
                    + (source == null ? "none" : source.type()),
                "the state belongs to another model or another choice of trained parameters");
          }
        });
    for (String name : own.counters().keySet()) {
      if (!saved.counters().containsKey(name)) {
        throw new ReverieException(
            "training step: expected the counter "
                + name
                + " in the saved state, got "
                + saved.counters().keySet());
      }
    }
    own.tensors().forEach((name, target) -> target.assign(saved.tensors().get(name)));
    optimizer.restore(saved.tensors(), saved.counters().get(STEPS));
    if (ema != null) {
      ema.restore(ema.parameters(), saved.counters().get(AVERAGE_UPDATES));
    }
  }

  /** Frees gradients, moments and the average; the parameters stay. */
  @Override
  public void close() {
    update.close();
    gradients.close();
    optimizer.close();
    if (ema != null) {
      ema.close();
    }
  }
}
