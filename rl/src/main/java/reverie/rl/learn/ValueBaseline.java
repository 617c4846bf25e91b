// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.lang.invoke.MethodHandles;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import reverie.autograd.nn.AxisOrder;
import reverie.autograd.nn.Initialiser;
import reverie.autograd.nn.Linear;
import reverie.autograd.nn.Parameter;
import reverie.autograd.nn.Parameters;
import reverie.autograd.optim.AdamW;
import reverie.autograd.optim.BackwardPass;
import reverie.autograd.optim.GradientAccumulator;
import reverie.rl.Policy;
import reverie.rl.objective.ValueFunction;
import reverie.rl.prompt.Prompt;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.graph.MicroBatched;

/**
 * The learnt baseline V(x_t, t, c) of {@link ValueFunction}: what a sample can be expected to earn
 * from what is known before a decision. It begins at 0 everywhere.
 *
 * <p>An epoch's samples are judged by what was learnt from earlier epochs, and only then learnt
 * from: a baseline that has seen the reward of the sample it judges would bias the gradient.
 */
final class ValueBaseline implements Resumable, AutoCloseable {
  private static final String NAME = "value_function";
  private static final String WEIGHT = "weight.";
  private static final String STEPS = "value_steps";
  private static final int LAYERS = 3;

  private final Policy policy;
  private final ValueFunction settings;
  private final int[] decisions;
  private final Parameters parameters;
  private final Linear[] layers = new Linear[LAYERS];
  private final Parameter[] factors = new Parameter[LAYERS];
  private final Parameter weight;
  private final Parameter bias;
  private final GradientAccumulator gradients;
  private final AdamW optimizer;
  private final MicroBatched<State, Value> forward;
  private final BackwardPass<Target, BackwardPass.Nothing> backward;
  private final Rng rng;

  ValueBaseline(Policy policy, ValueFunction settings, long seed) {
    this.policy = policy;
    this.settings = settings;
    decisions = policy.process().decisions();
    rng = Rng.of(seed).fork(NAME);
    Device device = policy.device();
    parameters = Parameters.random(device, rng.fork("weights"));
    Parameters own = parameters.at(NAME);
    int width = settings.width();
    int in = policy.height() * policy.width() * policy.channels() + contextSize(policy);
    for (int i = 0; i < LAYERS; i++) {
      layers[i] = new Linear(own.at("layers", i), i == 0 ? in : width, width, true);
      factors[i] =
          own.at("layers", i)
              .create("step", AxisOrder.SAME, Initialiser.ones(), policy.process().steps(), width);
    }
    weight = own.create("weight", AxisOrder.SAME, Initialiser.zeros(), 1, width);
    bias = own.create("bias", AxisOrder.SAME, Initialiser.zeros(), 1);
    gradients = new GradientAccumulator(parameters.all());
    optimizer = new AdamW(parameters.all(), AdamW.Options.weightDecay(0));
    forward = new MicroBatched<>(MethodHandles.lookup(), device, state -> new Value(value(state)));
    backward =
        BackwardPass.of(
            MethodHandles.lookup(),
            device,
            gradients,
            at -> value(at.state).sub(at.value).square().sum().mul(at.factor));
  }

  /** What is known before a decision: latents, steps of the chain, contexts or null. */
  private record State(Tensor x, Tensor steps, Tensor contexts) {}

  private record Value(Tensor values) {}

  private record Target(State state, Tensor value, Tensor factor) {}

  private static int contextSize(Policy policy) {
    try (Scope _ = Scope.open("context")) {
      Tensor context = policy.encoder().encode(List.of(new Prompt("")));
      return context == null ? 0 : context.dim(2);
    }
  }

  /** V of each latent: {@code [n]}. */
  private Tensor value(State state) {
    int n = state.x.dim(0);
    Tensor hidden = state.x.reshape(n, Math.toIntExact(state.x.size() / n));
    if (state.contexts != null) {
      hidden = Ops.concat(1, hidden, state.contexts.mean(1));
    }
    for (int i = 0; i < LAYERS; i++) {
      Tensor factor = Ops.embedding(factors[i].value(), state.steps);
      hidden = layers[i].forward(hidden).mul(factor).relu();
    }
    return Ops.linear(hidden, weight.value(), bias.value()).reshape(n);
  }

  /** V before every decision: a row per sample, a column per step of the chain. */
  double[][] values(ChainStates states, int size) {
    double[][] values = new double[size][policy.process().steps()];
    int[] samples = new int[size];
    Arrays.setAll(samples, i -> i);
    for (int step : decisions) {
      int[] steps = new int[samples.length];
      Arrays.fill(steps, step);
      try (Scope _ = Scope.open("values")) {
        double[] column = forward.run(state(states, samples, steps)).values.toDoubles();
        for (int i = 0; i < column.length; i++) {
          values[i][step] = column[i];
        }
      }
    }
    return values;
  }

  /**
   * Regresses on the samples' advantages.
   *
   * @param targets the advantage of each sample, before the baseline is taken off
   */
  void fit(ChainStates states, double[] targets, int epoch, Diagnostics diagnostics) {
    for (int update = 0; update < settings.updates(); update++) {
      Rng draw = rng.fork(epoch, update);
      int n = settings.batch();
      int[] samples = new int[n];
      int[] steps = new int[n];
      double[] target = new double[n];
      for (int i = 0; i < n; i++) {
        samples[i] = draw.below(2L * i, targets.length);
        steps[i] = decisions[draw.below(2L * i + 1, decisions.length)];
        target[i] = targets[samples[i]];
      }
      try (Scope _ = Scope.open("value update")) {
        gradients.clear();
        Tensor loss =
            backward
                .add(
                    new Target(
                        state(states, samples, steps),
                        policy.device().tensor(target, n),
                        policy.device().scalar(1.0 / n)))
                .sum();
        diagnostics.record("value_loss", loss.item());
        gradients.requireFinite(gradients.norm());
        optimizer.step(gradients::gradient, settings.learningRate(), 1);
      }
    }
  }

  private State state(ChainStates states, int[] samples, int[] steps) {
    return new State(
        states.before(samples, steps),
        policy.device().indices(steps, steps.length),
        states.contexts(samples));
  }

  @Override
  public Map<String, Tensor> tensors() {
    Map<String, Tensor> tensors = new LinkedHashMap<>(optimizer.state());
    parameters.all().forEach(p -> tensors.put(WEIGHT + p.name(), p.value()));
    return tensors;
  }

  @Override
  public Map<String, Long> counters() {
    return Map.of(STEPS, optimizer.steps());
  }

  @Override
  public void restore(TrainerState state) {
    parameters.all().forEach(p -> p.value().assign(state.tensors().get(WEIGHT + p.name())));
    optimizer.restore(state.tensors(), state.counters().get(STEPS));
  }

  Optional<String> captureFailure() {
    return forward.captureFailure().or(backward::captureFailure);
  }

  @Override
  public void close() {
    forward.close();
    backward.close();
    optimizer.close();
    gradients.close();
    parameters.close();
  }
}
