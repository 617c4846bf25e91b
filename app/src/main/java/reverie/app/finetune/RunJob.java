// SPDX-License-Identifier: Apache-2.0
package reverie.app.finetune;

import java.util.List;
import java.util.Map;
import reverie.app.config.FinetuneConfig;
import reverie.app.model.BaseModels;
import reverie.app.text.PromptEncoder;
import reverie.autograd.optim.GradientAccumulator;
import reverie.rl.learn.Fleet;
import reverie.rl.objective.RolloutObjective;
import reverie.rl.reward.NormalizedReward;
import reverie.rl.reward.NormalizedReward.Spread;
import reverie.rl.reward.Reward;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;

/**
 * A run's model, objective and reward on a machine of its cluster, made of the run's configuration.
 * The base model and programs of rewards are found under the same paths on every machine.
 */
public final class RunJob implements AutoCloseable {
  private final Parts parts = new Parts();
  private final Fleet.Job job;

  /**
   * Reads the model and starts the reward; what it makes belongs to the open scope.
   *
   * @param yaml the configuration
   * @param identity what the driver's model is
   * @param units of rewards that are normalized, in the order of {@link NormalizedReward#within}
   * @param encoder for the prompts
   * @param device where to compute
   * @throws ReverieException if the model is another than the driver's
   */
  public RunJob(
      String yaml,
      Map<String, String> identity,
      List<Spread> units,
      PromptEncoder encoder,
      Device device) {
    FinetuneConfig config =
        FinetuneConfig.READER.readStored(yaml, "the configuration of the run", List.of()).value();
    try {
      FinetuneModel model =
          parts.opened(
              new FinetuneModel(
                  BaseModels.read(config.model(), encoder, device, config.weights().dtype()),
                  config,
                  encoder,
                  device));
      if (!model.identity().equals(identity)) {
        throw new ReverieException(
            "model: expected " + identity + " as on the driver, got " + model.identity(),
            "let " + config.model() + " be the same folder on every machine");
      }
      Reward reward = parts.opened(config.reward().make());
      List<NormalizedReward> normalized = NormalizedReward.within(reward);
      for (int i = 0; i < units.size(); i++) {
        normalized.get(i).calibrate(units.get(i));
      }
      reward.start();
      job =
          new Fleet.Job(
              model.policy(),
              (RolloutObjective) config.objective(),
              reward,
              config.training(),
              parts.opened(new GradientAccumulator(model.parameters().trainable())));
    } catch (RuntimeException e) {
      parts.close();
      throw e;
    }
  }

  /** What a fleet works on. */
  public Fleet.Job job() {
    return job;
  }

  @Override
  public void close() {
    parts.close();
  }
}
