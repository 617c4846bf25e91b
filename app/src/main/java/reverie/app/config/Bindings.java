// SPDX-License-Identifier: Apache-2.0
package reverie.app.config;

import java.lang.reflect.RecordComponent;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import reverie.app.reward.BuiltInReward;
import reverie.rl.learn.Setting;
import reverie.rl.learn.TrainerSettings;
import reverie.rl.objective.Objective;
import reverie.rl.objective.Objectives;
import tools.jackson.core.JsonParser;
import tools.jackson.databind.DeserializationContext;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.ValueDeserializer;
import tools.jackson.databind.module.SimpleModule;
import tools.jackson.databind.node.ObjectNode;

/** How types of the library are read from a configuration. */
final class Bindings {
  private Bindings() {}

  static SimpleModule module() {
    return new SimpleModule()
        .addDeserializer(Objective.class, new ObjectiveReader())
        .addDeserializer(RewardChoice.class, new RewardReader());
  }

  /**
   * Gathers what {@link TrainerSettings} needs from the groups in which it stands.
   *
   * @return the tree of the record
   */
  static ObjectNode training(ObjectNode tree) {
    ObjectNode training = tree.objectNode();
    for (RecordComponent component : TrainerSettings.class.getRecordComponents()) {
      JsonNode value = tree;
      for (String key : component.getAnnotation(Setting.class).value().split("\\.")) {
        value = value.path(key);
      }
      if (component.getType() == Duration.class && value.isNumber()) {
        long millis = Math.round(1000 * value.doubleValue());
        training.put(
            RangeCheck.snakeCase(component.getName()), Duration.ofMillis(millis).toString());
      } else {
        training.set(RangeCheck.snakeCase(component.getName()), value);
      }
    }
    return training;
  }

  /** The key of a component of {@link TrainerSettings}. */
  static String key(String component) {
    for (RecordComponent candidate : TrainerSettings.class.getRecordComponents()) {
      if (candidate.getName().equals(component)
          || RangeCheck.snakeCase(candidate.getName()).equals(component)) {
        return candidate.getAnnotation(Setting.class).value();
      }
    }
    return component;
  }

  /** {@code {prdp: {beta: 0.001, …}}}, complete. */
  private static final class ObjectiveReader extends ValueDeserializer<Objective> {
    @Override
    public Objective deserialize(JsonParser parser, DeserializationContext context) {
      var choice = context.readTree(parser).properties().iterator().next();
      Class<? extends Objective> type = Objectives.named(choice.getKey()).orElseThrow().getClass();
      return context.readTreeAsValue(choice.getValue(), type);
    }
  }

  /** A name, or {@code {my_score: [python3, my_score.py]}}. */
  private static final class RewardReader extends ValueDeserializer<RewardChoice> {
    @Override
    public RewardChoice deserialize(JsonParser parser, DeserializationContext context) {
      JsonNode node = context.readTree(parser);
      if (node instanceof ObjectNode object && object.size() == 1) {
        var entry = object.properties().iterator().next();
        List<String> command = new ArrayList<>();
        entry.getValue().forEach(word -> command.add(word.asString("")));
        return new RewardChoice(BuiltInReward.COMMAND, command, entry.getKey());
      }
      for (BuiltInReward reward : BuiltInReward.values()) {
        if (reward != BuiltInReward.COMMAND
            && node.isString()
            && reward.toString().equals(node.stringValue().toLowerCase(Locale.ROOT))) {
          return RewardChoice.of(reward);
        }
      }
      throw new ConfigurationException(
          "watch: there is no reward " + node,
          "name some of "
              + Stream.of(BuiltInReward.values())
                  .filter(reward -> reward != BuiltInReward.COMMAND)
                  .map(BuiltInReward::toString)
                  .collect(Collectors.joining(", "))
              + ", or a program of yours: {my_score: [python3, my_score.py]}");
    }
  }
}
