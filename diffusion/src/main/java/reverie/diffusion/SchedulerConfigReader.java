// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import reverie.tensor.ReverieException;
import reverie.tensor.io.JsonText;
import tools.jackson.core.JacksonException;
import tools.jackson.core.json.JsonReadFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Takes the keys of a {@link SchedulerConfig} out of its file, with errors that name file and key.
 */
final class SchedulerConfigReader {
  static final String CLASS_NAME = "_class_name";
  static final String ZERO_SNR = "rescale_betas_zero_snr";
  static final String CLASS = "DDIMScheduler";
  static final String FLOW_CLASS = "FlowMatchEulerDiscreteScheduler";

  /** Whose configurations {@code DDIMScheduler.from_config} takes. */
  private static final Set<String> CLASSES =
      Set.of(
          CLASS,
          "DDPMScheduler",
          "DEISMultistepScheduler",
          "DPMSolverMultistepScheduler",
          "DPMSolverSDEScheduler",
          "DPMSolverSinglestepScheduler",
          "EulerAncestralDiscreteScheduler",
          "EulerDiscreteScheduler",
          "HeunDiscreteScheduler",
          "KDPM2AncestralDiscreteScheduler",
          "KDPM2DiscreteScheduler",
          "LMSDiscreteScheduler",
          "PNDMScheduler",
          "UniPCMultistepScheduler",
          FLOW_CLASS);

  /** What those have to say about their own way of sampling. */
  private static final Set<String> OF_OTHER_SAMPLERS =
      Set.of(
          "algorithm_type",
          "disable_corrector",
          "dynamic_thresholding_ratio",
          "euler_at_final",
          "final_sigmas_type",
          "flow_shift", // of use_flow_sigmas, which is refused
          "interpolation_type",
          "lambda_min_clipped",
          "lower_order_final",
          "noise_sampler_seed",
          "predict_x0",
          "sample_max_value",
          "sigma_max",
          "sigma_min",
          "skip_prk_steps",
          "solver_order",
          "solver_p",
          "solver_type",
          "tensor_format",
          "time_shift_type", // of use_dynamic_shifting, which is refused
          "timestep_type",
          "use_beta_sigmas",
          "use_exponential_sigmas",
          "use_karras_sigmas",
          "use_lu_lambdas",
          "variance_type");

  /**
   * Keys that the class which wrote the file was not given; {@code from_config} passes over them.
   */
  private static final String DEFAULTED = "_use_default_values";

  /** Python writes {@code -Infinity}, DPM-Solver's default for lambda_min_clipped. */
  private static final JsonMapper MAPPER =
      new JsonMapper(
          JsonText.FACTORY.rebuild().enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS).build());

  private final ObjectNode object;
  private final String where;

  SchedulerConfigReader(String json, String where) {
    this.where = where;
    JsonNode root;
    try {
      root = MAPPER.readTree(json);
    } catch (JacksonException e) {
      throw new ReverieException(
          "scheduler config: " + where + " is not JSON: " + JsonText.problem(e),
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
    String name = object.path(CLASS_NAME).asString(CLASS);
    if (!CLASSES.contains(name)) {
      throw new ReverieException(
          "scheduler config: " + where + " is for " + ReverieException.shown(name),
          "supported are " + CLASSES.stream().sorted().collect(Collectors.joining(", ")));
    }
    if (object.get(DEFAULTED) instanceof ArrayNode defaulted) {
      defaulted.forEach(key -> object.remove(key.asString("")));
    }
    return name.equals(FLOW_CLASS) ? flow() : diffusion();
  }

  private SchedulerConfig diffusion() {
    SchedulerConfig ours = SchedulerConfig.defaults();
    refuse("variance_type", "learned", "learned_range");
    // What prediction_type was before diffusers 0.9.
    refuse("predict_epsilon", "false");
    object.remove("predict_epsilon");
    SchedulerConfig config =
        new SchedulerConfig(
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
            flag(ZERO_SNR, false),
            Optional.empty(),
            rest(OF_OTHER_SAMPLERS));
    config.schedule();
    return config;
  }

  /** FlowMatchEulerDiscreteScheduler's keys and defaults. */
  private SchedulerConfig flow() {
    int trainSteps = whole("num_train_timesteps", 1000);
    double shift = number("shift", 1);
    boolean dynamic = flag("use_dynamic_shifting", false);
    String type = text("time_shift_type", "exponential");
    if (!Set.of("exponential", "linear").contains(type)) {
      throw new ReverieException(
          "scheduler config: time_shift_type \""
              + ReverieException.shown(type)
              + "\" in "
              + where
              + " is not known",
          "one of exponential, linear");
    }
    var line =
        new SchedulerConfig.DynamicShift(
            number("base_shift", 0.5),
            number("max_shift", 1.15),
            whole("base_image_seq_len", 256),
            whole("max_image_seq_len", 4096),
            type.equals("exponential"));
    if (line.maxTokens() == line.baseTokens()) {
      throw new ReverieException(
          "scheduler config: expected base_image_seq_len and max_image_seq_len to differ in "
              + where,
          SchedulerConfig.KEYS_HINT);
    }
    var flow = new SchedulerConfig.Flow(shift, dynamic ? Optional.of(line) : Optional.empty());
    var spacing = TimestepGrid.Spacing.of(text("timestep_spacing", flow.spacing().key()));
    Map<String, JsonNode> rest = rest(Set.of());
    return SchedulerConfig.flow(1)
        .withTrainSteps(trainSteps)
        .withSpacing(spacing, 0)
        .with(it -> it.flow(Optional.of(flow)).source(rest));
  }

  /**
   * What nobody took, all of which changes nothing: because of its value, or because of its key.
   */
  private Map<String, JsonNode> rest(Set<String> harmless) {
    Map<String, JsonNode> rest = new LinkedHashMap<>();
    object
        .properties()
        .forEach(e -> {
          JsonNode value = e.getValue();
          boolean off = value.isNull() || value.isBoolean() && !value.booleanValue();
          if (!off && !e.getKey().startsWith("_") && !harmless.contains(e.getKey())) {
            throw new ReverieException(
                "scheduler config: "
                    + ReverieException.shown(e.getKey())
                    + " "
                    + ReverieException.shown(value)
                    + " in "
                    + where
                    + " is not supported",
                "it may change the samples; take it out if it does not");
          }
          rest.put(e.getKey(), value);
        });
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
              + ReverieException.shown(value),
          SchedulerConfig.KEYS_HINT);
    }
    return value;
  }

  private double number(String key, double otherwise) {
    JsonNode value = take(key, "a number", v -> v.isNumber() && Double.isFinite(v.doubleValue()));
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
                "scheduler config: beta_schedule \""
                    + ReverieException.shown(key)
                    + "\" in "
                    + where
                    + " is not known",
                "one of linear, scaled_linear, squaredcos_cap_v2, sigmoid"));
  }
}
