// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import reverie.tensor.ReverieException;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * Takes the keys of a {@link SchedulerConfig} out of its file, with errors that name file and key.
 */
final class SchedulerConfigReader {
  private static final Set<String> CLASSES =
      Set.of("DDIMScheduler", "DDPMScheduler", "PNDMScheduler");

  private final ObjectNode object;
  private final String where;

  SchedulerConfigReader(String json, String where) {
    this.where = where;
    JsonNode root;
    try {
      root = JsonMapper.shared().readTree(json);
    } catch (JacksonException e) {
      throw new ReverieException(
          "scheduler config: "
              + where
              + " is not JSON: "
              + e.getOriginalMessage().replaceFirst(" starting at \\[Source: .*", ")"),
          "is the file complete?",
          e);
    }
    if (!(root instanceof ObjectNode found)) {
      throw new ReverieException(
          "scheduler config: expected a JSON object in " + where, "is it the right file?");
    }
    object = found;
  }

  SchedulerConfig read() {
    SchedulerConfig ours = SchedulerConfig.defaults();
    String name = object.path(SchedulerConfig.CLASS).asString("DDIMScheduler");
    if (!CLASSES.contains(name)) {
      throw new ReverieException(
          "scheduler config: " + where + " is for " + name,
          "supported are " + CLASSES.stream().sorted().collect(Collectors.joining(", ")));
    }
    refuse("thresholding", "true");
    refuse("rescale_betas_zero_snr", "true");
    refuse("variance_type", "fixed_large", "fixed_large_log", "learned", "learned_range");
    return new SchedulerConfig(
        whole("num_train_timesteps", ours.trainSteps()),
        betaSchedule(text("beta_schedule", ours.betaSchedule().key())),
        number("beta_start", ours.betaStart()),
        number("beta_end", ours.betaEnd()),
        numbers("trained_betas"),
        Prediction.of(text("prediction_type", ours.prediction().key())),
        TimestepGrid.Spacing.of(text("timestep_spacing", ours.spacing().key())),
        whole("steps_offset", ours.stepsOffset()),
        flag("set_alpha_to_one", ours.endsClean()),
        flag("clip_sample", ours.clipSample()),
        number("clip_sample_range", ours.clipSampleRange()),
        rest());
  }

  /** What nobody took. */
  private Map<String, JsonNode> rest() {
    Map<String, JsonNode> rest = new LinkedHashMap<>();
    object.properties().forEach(e -> rest.put(e.getKey(), e.getValue()));
    return rest;
  }

  private void refuse(String key, String... values) {
    for (String value : values) {
      if (object.path(key).asString("").equals(value)) {
        throw new ReverieException(
            "scheduler config: " + key + " " + value + " in " + where + " is not supported",
            "the samples would differ from what the model was made for");
      }
    }
  }

  /** Takes a key; null if it is not there or null. */
  private JsonNode take(String key, String expected, Predicate<JsonNode> fits) {
    JsonNode value = object.remove(key);
    if (value == null || value.isNull()) {
      return null;
    }
    if (!fits.test(value)) {
      throw new ReverieException(
          "scheduler config: expected "
              + expected
              + " for "
              + key
              + " in "
              + where
              + ", got "
              + value);
    }
    return value;
  }

  private double number(String key, double otherwise) {
    JsonNode value = take(key, "a number", JsonNode::isNumber);
    return value == null ? otherwise : value.doubleValue();
  }

  private int whole(String key, int otherwise) {
    JsonNode value =
        take(key, "a whole number", v -> v.isNumber() && v.doubleValue() == (int) v.doubleValue());
    return value == null ? otherwise : (int) value.doubleValue();
  }

  private boolean flag(String key, boolean otherwise) {
    JsonNode value = take(key, "true or false", JsonNode::isBoolean);
    return value == null ? otherwise : value.booleanValue();
  }

  private String text(String key, String otherwise) {
    JsonNode value = take(key, "a text", JsonNode::isString);
    return value == null ? otherwise : value.stringValue();
  }

  private List<Double> numbers(String key) {
    JsonNode value =
        take(
            key,
            "a list of numbers",
            v -> v.isArray() && v.valueStream().allMatch(JsonNode::isNumber));
    return value == null ? List.of() : value.valueStream().map(JsonNode::doubleValue).toList();
  }

  private SchedulerConfig.BetaSchedule betaSchedule(String key) {
    return Stream.of(SchedulerConfig.BetaSchedule.values())
        .filter(s -> s.key().equals(key))
        .findFirst()
        .orElseThrow(() ->
            new ReverieException(
                "scheduler config: beta_schedule \"" + key + "\" in " + where + " is not known",
                "one of linear, scaled_linear, squaredcos_cap_v2, sigmoid"));
  }
}
