// SPDX-License-Identifier: Apache-2.0
package reverie.app.reward;

import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import reverie.app.data.DataSet;
import reverie.rl.reward.Reward;

/**
 * A kind of reward with its settings, as a configuration writes it: {@code {http: {url: …}}}. The
 * defaults of every kind stand in {@code finetune/reward.yaml}.
 */
public sealed interface RewardKind
    permits BuiltInReward, CommandReward, OnnxReward.File, ServerReward, Sum {
  /** The longest that a batch may take where a kind has no limits of its own. */
  Duration MINUTE = Duration.ofMinutes(1);

  /** Every kind by its key. */
  static Map<String, Class<? extends RewardKind>> byKey() {
    Map<String, Class<? extends RewardKind>> kinds = new LinkedHashMap<>();
    kinds.put("name", BuiltInReward.class);
    kinds.put("command", CommandReward.class);
    kinds.put("http", HttpReward.Options.class);
    kinds.put("onnx", OnnxReward.File.class);
    kinds.put("describe", DescribeReward.Options.class);
    kinds.put("sum", Sum.class);
    return kinds;
  }

  /** What reports call it, if it has no label. */
  String title();

  /**
   * Makes the reward, which is to be closed.
   *
   * @param name in logs and errors
   */
  Reward make(String name);

  /** What it counts. */
  default BuiltInReward.Unit unit() {
    return BuiltInReward.Unit.NUMBER;
  }

  /** The images that it compares with, so that it means nothing for a model of others. */
  default Optional<DataSet> comparesWith() {
    return Optional.empty();
  }

  /** How long a batch may take if nobody says otherwise. */
  default Duration usualTimeout() {
    return MINUTE;
  }
}
