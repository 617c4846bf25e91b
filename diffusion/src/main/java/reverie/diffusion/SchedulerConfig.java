// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Consumer;
import reverie.tensor.ReverieException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * What a model folder's {@code scheduler_config.json} says: how the model was trained and how it
 * wants to be sampled. Reads and writes the files of diffusers' DDIMScheduler, DDPMScheduler and
 * PNDMScheduler (which Stable Diffusion ships and which is read as DDIM, as diffusers' {@code
 * from_config} would). Keys it does not know are kept; a known key with a value that would change
 * the result and is not supported is an error.
 *
 * @param trainSteps T
 * @param betaSchedule the shape of β
 * @param betaStart β at the first timestep
 * @param betaEnd β at the last
 * @param trainedBetas β themselves, which then stand above the three before; empty for none
 * @param prediction what the model predicts
 * @param spacing how sampling timesteps are chosen
 * @param stepsOffset added to them where the spacing is leading
 * @param endsClean whether the last DDIM step goes to ᾱ = 1 and not to ᾱ_0: {@code
 *     set_alpha_to_one}. With false and leading spacing the chain is that of ddpo-pytorch, which
 *     clamps t' to 0
 * @param clipSample whether x̂0 is clipped
 * @param clipSampleRange to plus and minus this
 * @param source the file's other keys, as they were
 */
public record SchedulerConfig(
    int trainSteps,
    BetaSchedule betaSchedule,
    double betaStart,
    double betaEnd,
    List<Double> trainedBetas,
    Prediction prediction,
    TimestepGrid.Spacing spacing,
    int stepsOffset,
    boolean endsClean,
    boolean clipSample,
    double clipSampleRange,
    Map<String, JsonNode> source) {

  /** The file's name in a model folder. */
  public static final String FILE = "scheduler_config.json";

  static final String CLASS = "_class_name";

  /** The shape of β over the timesteps. */
  public enum BetaSchedule {
    /** Equal steps of β. */
    LINEAR,
    /** Equal steps of √β. */
    SCALED_LINEAR,
    /** ᾱ along a squared cosine. */
    SQUAREDCOS_CAP_V2,
    /** β along a logistic curve. */
    SIGMOID;

    /** The name in diffusers' configuration. */
    public String key() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /** Copies what it is given. */
  public SchedulerConfig {
    trainedBetas = List.copyOf(trainedBetas);
    source = Collections.unmodifiableMap(new LinkedHashMap<>(source));
    if (!trainedBetas.isEmpty() && trainedBetas.size() != trainSteps) {
      throw new ReverieException(
          "scheduler config: expected "
              + trainSteps
              + " trained_betas, got "
              + trainedBetas.size());
    }
    if (trainSteps < 1) {
      throw new ReverieException(
          "scheduler config: expected at least one training timestep, got " + trainSteps);
    }
    if (!(clipSampleRange > 0)) {
      throw new ReverieException(
          "scheduler config: expected a positive clip_sample_range, got " + clipSampleRange);
    }
  }

  /**
   * What diffusers takes where the file says nothing: 1000 steps, linear 1e-4 to 0.02, epsilon, x̂0
   * clipped to ±1.
   */
  public static SchedulerConfig defaults() {
    return new SchedulerConfig(
        1000,
        BetaSchedule.LINEAR,
        1e-4,
        0.02,
        List.of(),
        Prediction.EPSILON,
        TimestepGrid.Spacing.LEADING,
        0,
        true,
        true,
        1,
        Map.of());
  }

  /**
   * The schedule of Stable Diffusion 1.x: scaled linear 0.00085 to 0.012, offset 1, nothing
   * clipped.
   */
  public static SchedulerConfig stableDiffusion() {
    return defaults()
        .withBetas(BetaSchedule.SCALED_LINEAR, 0.00085, 0.012)
        .withSpacing(TimestepGrid.Spacing.LEADING, 1)
        .withEndsClean(false)
        .withoutClipping();
  }

  /** The same with other betas. */
  public SchedulerConfig withBetas(BetaSchedule shape, double start, double end) {
    return but(it -> {
      it.betaSchedule = shape;
      it.betaStart = start;
      it.betaEnd = end;
      it.trainedBetas = List.of();
    });
  }

  /** The same with another number of training timesteps. */
  public SchedulerConfig withTrainSteps(int steps) {
    return but(it -> {
      it.trainSteps = steps;
      it.trainedBetas = List.of();
    });
  }

  /** The same for a model that predicts something else. */
  public SchedulerConfig withPrediction(Prediction other) {
    return but(it -> it.prediction = other);
  }

  /** The same with other sampling timesteps. */
  public SchedulerConfig withSpacing(TimestepGrid.Spacing other, int offset) {
    return but(it -> {
      it.spacing = other;
      it.stepsOffset = offset;
    });
  }

  /** The same, ending at ᾱ = 1 or at ᾱ_0. */
  public SchedulerConfig withEndsClean(boolean other) {
    return but(it -> it.endsClean = other);
  }

  /** The same with x̂0 clipped to plus and minus this. */
  public SchedulerConfig withClipping(double range) {
    return but(it -> {
      it.clipSample = true;
      it.clipSampleRange = range;
    });
  }

  /** The same with x̂0 as the model says. */
  public SchedulerConfig withoutClipping() {
    return but(it -> it.clipSample = false);
  }

  private SchedulerConfig but(Consumer<Draft> change) {
    Draft draft = new Draft(this);
    change.accept(draft);
    return new SchedulerConfig(
        draft.trainSteps,
        draft.betaSchedule,
        draft.betaStart,
        draft.betaEnd,
        draft.trainedBetas,
        draft.prediction,
        draft.spacing,
        draft.stepsOffset,
        draft.endsClean,
        draft.clipSample,
        draft.clipSampleRange,
        source);
  }

  /** The components while they are being changed. */
  private static final class Draft {
    int trainSteps;
    BetaSchedule betaSchedule;
    double betaStart;
    double betaEnd;
    List<Double> trainedBetas;
    Prediction prediction;
    TimestepGrid.Spacing spacing;
    int stepsOffset;
    boolean endsClean;
    boolean clipSample;
    double clipSampleRange;

    Draft(SchedulerConfig from) {
      trainSteps = from.trainSteps;
      betaSchedule = from.betaSchedule;
      betaStart = from.betaStart;
      betaEnd = from.betaEnd;
      trainedBetas = from.trainedBetas;
      prediction = from.prediction;
      spacing = from.spacing;
      stepsOffset = from.stepsOffset;
      endsClean = from.endsClean;
      clipSample = from.clipSample;
      clipSampleRange = from.clipSampleRange;
    }
  }

  /** The forward process. */
  public NoiseSchedule schedule() {
    if (!trainedBetas.isEmpty()) {
      return NoiseSchedule.ofBetas(
          trainedBetas.stream().mapToDouble(Double::doubleValue).toArray());
    }
    return switch (betaSchedule) {
      case LINEAR -> NoiseSchedule.linear(trainSteps, betaStart, betaEnd);
      case SCALED_LINEAR -> NoiseSchedule.scaledLinear(trainSteps, betaStart, betaEnd);
      case SQUAREDCOS_CAP_V2 -> NoiseSchedule.squaredCosine(trainSteps);
      case SIGMOID -> NoiseSchedule.sigmoid(trainSteps, betaStart, betaEnd);
    };
  }

  /** The sampling timesteps of a chain of this many steps. */
  public TimestepGrid grid(int steps) {
    return TimestepGrid.of(spacing, trainSteps, steps, stepsOffset);
  }

  // Files.

  /** Reads a scheduler folder's or a file's configuration. */
  public static SchedulerConfig read(Path path) {
    Path file = Files.isDirectory(path) ? path.resolve(FILE) : path;
    try {
      return parse(Files.readString(file), file.toString());
    } catch (IOException e) {
      throw new ReverieException(
          "scheduler config: cannot read " + file + " (" + e + ")",
          "a model folder has scheduler/" + FILE,
          e);
    }
  }

  /** Writes {@value #FILE} into a folder, which is made if missing. */
  public void write(Path folder) {
    try {
      Files.createDirectories(folder);
      Files.writeString(folder.resolve(FILE), toJson());
    } catch (IOException e) {
      throw new ReverieException(
          "scheduler config: cannot write into " + folder + " (" + e + ")",
          "is the disk full or read-only?",
          e);
    }
  }

  /**
   * Reads the text of a configuration.
   *
   * @param where it came from, for errors
   */
  public static SchedulerConfig parse(String json, String where) {
    return new SchedulerConfigReader(json, where).read();
  }

  /** The text of the configuration, as diffusers reads it. */
  public String toJson() {
    ObjectNode out = JsonMapper.shared().createObjectNode();
    out.put(CLASS, "DDIMScheduler");
    source.forEach(out::set);
    out.put("num_train_timesteps", trainSteps);
    out.put("beta_schedule", betaSchedule.key());
    out.put("beta_start", betaStart);
    out.put("beta_end", betaEnd);
    if (trainedBetas.isEmpty()) {
      out.putNull("trained_betas");
    } else {
      trainedBetas.forEach(out.putArray("trained_betas")::add);
    }
    out.put("prediction_type", prediction.key());
    out.put("timestep_spacing", spacing.key());
    out.put("steps_offset", stepsOffset);
    out.put("set_alpha_to_one", endsClean);
    out.put("clip_sample", clipSample);
    out.put("clip_sample_range", clipSampleRange);
    return JsonMapper.shared().writerWithDefaultPrettyPrinter().writeValueAsString(out) + "\n";
  }
}
