// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Supplier;
import reverie.autograd.nn.Parameter;
import reverie.autograd.nn.Parameters;
import reverie.rl.objective.DenoisingObjective.Lag;
import reverie.tensor.Ops;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.op.Copy;

/**
 * Weights that follow those that are trained, epoch by epoch. A model answers by them while they
 * lie in the place of its own, so that whatever was captured of it serves both.
 */
public final class LaggedWeights implements Resumable, AutoCloseable {
  private final String name;
  private final Lag lag;
  private final Scope scope;
  private final Map<Parameter, Tensor> values = new LinkedHashMap<>();

  /**
   * Begins at the weights as they are.
   *
   * @param name in the state of a run
   */
  public LaggedWeights(String name, Parameters parameters, Lag lag) {
    this.name = name;
    this.lag = lag;
    scope = Scope.detached(name);
    try (Scope _ = Scope.open(name)) {
      parameters.trainable().forEach(p -> values.put(p, scope.adopt(copy(p.value()))));
    }
  }

  /** What this gives while these weights are the model's. */
  public <T> T during(Supplier<T> body) {
    exchange();
    try {
      return body.get();
    } finally {
      exchange();
    }
  }

  private void exchange() {
    try (Scope _ = Scope.open("exchange")) {
      values.forEach((parameter, own) -> {
        Tensor before = copy(own);
        own.assign(parameter.value());
        parameter.value().assign(before);
      });
    }
  }

  /** Ends an epoch, after so many updates of the run. */
  void follow(long updates) {
    double decay = lag.decay(updates);
    try (Scope _ = Scope.open("follow")) {
      values.forEach((parameter, own) ->
          own.assign(
              decay == 0
                  ? parameter.value()
                  : own.mul(decay).add(parameter.value().mul(1 - decay))));
    }
  }

  /** Whether they are those at the beginning of each epoch, which nobody has to remember. */
  private boolean forgets() {
    return lag.limit() == 0 || lag.rise() == 0;
  }

  @Override
  public Map<String, Tensor> tensors() {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    if (!forgets()) {
      values.forEach((parameter, own) -> tensors.put(name + "." + parameter.name(), own));
    }
    return tensors;
  }

  @Override
  public void restore(TrainerState state) {
    values.forEach((parameter, own) ->
        own.assign(
            forgets() ? parameter.value() : state.tensors().get(name + "." + parameter.name())));
  }

  private static Tensor copy(Tensor tensor) {
    return Ops.apply(new Copy(), tensor);
  }

  @Override
  public void close() {
    scope.close();
  }
}
