// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import io.soabase.recordbuilder.core.RecordBuilder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import reverie.tensor.ReverieException;
import reverie.tensor.io.JsonText;
import tools.jackson.databind.JsonNode;

/**
 * What a model folder's {@code scheduler_config.json} says: how the model was trained and how it
 * wants to be sampled. Reads and writes the files of diffusers' DDIMScheduler and DDPMScheduler,
 * and reads those of its other schedulers of the same family (PNDM, which Stable Diffusion ships,
 * Euler, LMS, Heun, DPM-Solver, UniPC, …) as {@code DDIMScheduler.from_config} does: what the noise
 * was is taken over, how they would sample is not. The files of FlowMatchEulerDiscreteScheduler are
 * read as a {@link Flow}. A key that is not known, or has a value that would change the result and
 * is not supported, is an error that names it.
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
 * @param zeroTerminalSnr whether nothing of the sample is left at the last timestep ({@code
 *     rescale_betas_zero_snr})
 * @param flow of a model that predicts {@link Prediction#FLOW}, and then what is said of β, the
 *     offset, the end and the clipping plays no part
 * @param source the file's other keys, as they were
 */
@RecordBuilder
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
    boolean zeroTerminalSnr,
    Optional<Flow> flow,
    Map<String, JsonNode> source)
    implements SchedulerConfigBuilder.With {

  static final String KEYS_HINT = "keys and values are those of diffusers' schedulers";

  /** Beyond every model: an array of this length is made of every schedule. */
  private static final int MAX_STEPS = 100_000;

  /** The file's name in a model folder. */
  public static final String FILE = "scheduler_config.json";

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

  /**
   * How a flow's σ are moved towards noise: {@code σ ← s·σ/(1 + (s−1)·σ)}.
   *
   * @param shift s
   * @param dynamic if present, s depends on the size of the image, and {@code shift} plays no part
   */
  public record Flow(double shift, Optional<DynamicShift> dynamic) {
    /** Checks s. */
    public Flow {
      if (!(shift > 0 && Double.isFinite(shift))) {
        throw new ReverieException(
            "scheduler config: expected a positive shift, got " + shift, "1 changes nothing");
      }
    }

    /** How σ are spaced where the file does not say: as diffusers' pipelines do. */
    TimestepGrid.Spacing spacing() {
      return dynamic.isPresent() ? TimestepGrid.Spacing.TRAILING : TimestepGrid.Spacing.LINSPACE;
    }
  }

  /**
   * The line on which μ lies over the number of tokens of an image (FLUX: a square of 16 pixels
   * each); {@code s = e^μ}, or μ itself.
   *
   * @param baseShift μ at {@code baseTokens}
   * @param maxShift μ at {@code maxTokens}
   * @param exponential whether s = e^μ
   */
  public record DynamicShift(
      double baseShift, double maxShift, int baseTokens, int maxTokens, boolean exponential) {
    /** s of an image. */
    public double shift(int tokens) {
      double mu =
          baseShift
              + (tokens - baseTokens) * (maxShift - baseShift) / ((double) maxTokens - baseTokens);
      return exponential ? Math.exp(mu) : mu;
    }
  }

  /** Copies what it is given. */
  public SchedulerConfig {
    trainedBetas = List.copyOf(trainedBetas);
    source = Collections.unmodifiableMap(new LinkedHashMap<>(source));
    if (!trainedBetas.isEmpty() && trainedBetas.size() != trainSteps) {
      throw new ReverieException(
          "scheduler config: expected " + trainSteps + " trained_betas, got " + trainedBetas.size(),
          KEYS_HINT);
    }
    if (trainSteps < 1) {
      throw new ReverieException(
          "scheduler config: expected at least one training timestep, got " + trainSteps,
          KEYS_HINT);
    }
    if (trainSteps > MAX_STEPS) {
      throw new ReverieException(
          "scheduler config: expected at most "
              + MAX_STEPS
              + " for num_train_timesteps, got "
              + trainSteps,
          "models have 1000");
    }
    if (!(clipSampleRange > 0 && Double.isFinite(clipSampleRange))) {
      throw new ReverieException(
          "scheduler config: expected a positive clip_sample_range, got " + clipSampleRange,
          KEYS_HINT);
    }
    if (stepsOffset < 0) {
      throw new ReverieException(
          "scheduler config: expected a steps_offset of at least 0, got " + stepsOffset, KEYS_HINT);
    }
    if (flow.isPresent() != (prediction == Prediction.FLOW)) {
      throw new ReverieException(
          "scheduler config: a flow's scheduler and the prediction "
              + Prediction.FLOW.key()
              + " belong together, got "
              + prediction.key()
              + (flow.isPresent() ? " with" : " without"),
          "use FlowMatchEulerDiscreteScheduler for a flow, and no other for it");
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
        false,
        Optional.empty(),
        Map.of());
  }

  /**
   * A flow of 1000 timesteps, whose σ are those of diffusers' FlowMatchEulerDiscreteScheduler.
   *
   * @param shift s, 1 for none
   */
  public static SchedulerConfig flow(double shift) {
    return defaults()
        .with(it ->
            it.flow(Optional.of(new Flow(shift, Optional.empty())))
                .prediction(Prediction.FLOW)
                .spacing(TimestepGrid.Spacing.LINSPACE)
                .clipSample(false));
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
    return with(it -> it.betaSchedule(shape).betaStart(start).betaEnd(end).trainedBetas(List.of()));
  }

  /** The same with another number of training timesteps. */
  @Override
  public SchedulerConfig withTrainSteps(int steps) {
    return with(it -> it.trainSteps(steps).trainedBetas(List.of()));
  }

  /** The same with other sampling timesteps. */
  public SchedulerConfig withSpacing(TimestepGrid.Spacing other, int offset) {
    return with(it -> it.spacing(other).stepsOffset(offset));
  }

  /** The same with x̂0 clipped to plus and minus this. */
  public SchedulerConfig withClipping(double range) {
    return with(it -> it.clipSample(true).clipSampleRange(range));
  }

  /** The same with x̂0 as the model says. */
  public SchedulerConfig withoutClipping() {
    return withClipSample(false);
  }

  /** The same flow, with the shift of images of this many tokens if it depends on them. */
  public SchedulerConfig forTokens(int tokens) {
    return flow.flatMap(Flow::dynamic)
        .map(dynamic -> withFlow(Optional.of(new Flow(dynamic.shift(tokens), Optional.empty()))))
        .orElse(this);
  }

  /** Whether the file says {@code variance_type: fixed_large}, which DDPM's sampling follows. */
  boolean hasLargeVariance() {
    JsonNode type = source.get("variance_type");
    return type != null && type.asString("").startsWith("fixed_large");
  }

  /** The forward process. */
  public NoiseSchedule schedule() {
    if (flow.isPresent()) {
      return NoiseSchedule.flow(trainSteps, shift());
    }
    NoiseSchedule schedule = betas();
    return zeroTerminalSnr ? schedule.withZeroTerminalSnr() : schedule;
  }

  private NoiseSchedule betas() {
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
    return flow.isPresent()
        ? TimestepGrid.ofFlow(spacing, trainSteps, steps, shift())
        : TimestepGrid.of(spacing, trainSteps, steps, stepsOffset);
  }

  /** Those of a chain of {@link ReversePolicy#dpmSolver}. */
  TimestepGrid solverGrid(int steps) {
    return flow.isPresent()
        ? grid(steps)
        : TimestepGrid.ofSolver(spacing, trainSteps, steps, stepsOffset);
  }

  /** Those of a chain of {@link ReversePolicy#pndm}. */
  TimestepGrid pseudoNumericalGrid(int steps) {
    return TimestepGrid.ofPseudoNumerical(spacing, trainSteps, steps, stepsOffset);
  }

  private double shift() {
    Flow of = flow.orElseThrow();
    if (of.dynamic().isPresent()) {
      throw new ReverieException(
          "scheduler config: with use_dynamic_shifting the shift depends on the size of the"
              + " image",
          "say it by forTokens(n): FLUX has a token for a square of 16 pixels");
    }
    return of.shift();
  }

  // Files.

  /** Reads a scheduler folder's or a file's configuration. */
  public static SchedulerConfig read(Path path) {
    Path file = Files.isDirectory(path) ? path.resolve(FILE) : path;
    if (Files.notExists(file)) {
      throw new ReverieException(
          "scheduler config: expected the file " + file + ", which says how the model was trained",
          "save_pretrained of the scheduler in Python's diffusers writes it");
    }
    return parse(JsonText.read(file, "scheduler config"), file.toString());
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

  /** The class of diffusers that reads {@link #toJson}. */
  public String className() {
    return flow.isPresent() ? SchedulerConfigReader.FLOW_CLASS : SchedulerConfigReader.CLASS;
  }

  /** The text of the configuration, as diffusers reads it. */
  public String toJson() {
    return SchedulerConfigWriter.write(this);
  }
}
