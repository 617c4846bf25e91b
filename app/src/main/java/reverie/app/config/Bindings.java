// SPDX-License-Identifier: Apache-2.0
package reverie.app.config;

import java.lang.reflect.RecordComponent;
import java.time.Duration;
import reverie.app.data.ImageSize;
import reverie.app.reward.BuiltInReward;
import reverie.app.reward.RewardChoice;
import reverie.app.reward.RewardKind;
import reverie.rl.learn.Setting;
import reverie.rl.learn.TrainerSettings;
import reverie.rl.objective.Objective;
import reverie.rl.objective.Objectives;
import tools.jackson.core.JacksonException;
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
        .addDeserializer(RewardChoice.class, new RewardReader())
        .addDeserializer(ImageSize.class, new SizeReader());
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

  /** How long a batch may take for a reward of this kind; its errors are reported elsewhere. */
  static Duration usualTimeout(ObjectNode reward) {
    try {
      return ConfigurationReader.YAML.treeToValue(reward, RewardChoice.class).kind().usualTimeout();
    } catch (JacksonException e) {
      return RewardKind.MINUTE;
    }
  }

  /** {@code 512} or {@code 768x512}. */
  private static final class SizeReader extends ValueDeserializer<ImageSize> {
    @Override
    public ImageSize deserialize(JsonParser parser, DeserializationContext context) {
      JsonNode node = context.readTree(parser);
      return ImageSize.of(node.isValueNode() ? node.asString("") : node.toString());
    }
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

  /** A name, or {@code {http: {url: …}, label: mine}}, complete. */
  private static final class RewardReader extends ValueDeserializer<RewardChoice> {
    @Override
    public RewardChoice deserialize(JsonParser parser, DeserializationContext context) {
      JsonNode node = context.readTree(parser);
      if (!(node instanceof ObjectNode reward)) {
        return RewardChoice.of(kind(context, node, BuiltInReward.class));
      }
      for (var kind : RewardKind.byKey().entrySet()) {
        JsonNode settings = reward.get(kind.getKey());
        if (settings != null) {
          // A kind with a single setting is written as its value.
          boolean whole = settings.isObject() || kind.getValue().isEnum();
          try {
            return new RewardChoice(
                kind(context, whole ? settings : reward, kind.getValue()),
                reward.path("label").asString(""));
          } catch (JacksonException e) {
            throw whole ? e.prependPath(reward, kind.getKey()) : e;
          }
        }
      }
      throw new IllegalStateException("RewardTree lets nothing else through: " + node);
    }

    private static <K extends RewardKind> K kind(
        DeserializationContext context, JsonNode node, Class<K> type) {
      K kind = context.readTreeAsValue(node, type);
      return kind != null ? kind : context.reportInputMismatch(type, "a reward is missing");
    }
  }
}
