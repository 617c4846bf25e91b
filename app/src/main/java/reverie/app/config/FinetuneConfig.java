// SPDX-License-Identifier: Apache-2.0
package reverie.app.config;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import reverie.app.data.ImageSize;
import reverie.app.reward.RewardChoice;
import reverie.diffusion.FlowNoise;
import reverie.diffusion.Prediction;
import reverie.diffusion.ReversePolicy;
import reverie.diffusion.SchedulerConfig;
import reverie.rl.advantage.GroupAdvantages;
import reverie.rl.learn.TrainerSettings;
import reverie.rl.objective.Objective;
import reverie.rl.objective.Objectives;
import reverie.rl.objective.StepObjective;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * All settings of {@code reverie finetune}. What each means stands in {@code
 * finetune/defaults.yaml}.
 *
 * @param model folder of the base model, or the name of one that Reverie ships
 * @param weights what the U-Net's weights are held in
 * @param objective what is optimised
 * @param reward what is sought
 * @param watch what is measured besides, in every epoch
 * @param prompts where prompts come from
 * @param preferences a file of pairs of images and choices, for objectives that learn from one
 * @param sampling how images are drawn
 * @param training the keys that {@link reverie.rl.learn.Setting} names
 * @param advantage how rewards become advantages
 * @param lora low-rank adapters, or not
 * @param epochs rollouts, each followed by updates
 * @param evaluation what is measured before, during and after
 * @param checkpointEvery epochs between checkpoints
 * @param seed of everything random
 */
public record FinetuneConfig(
    String model,
    WeightType weights,
    Objective objective,
    RewardChoice reward,
    List<RewardChoice> watch,
    Prompts prompts,
    String preferences,
    Sampling sampling,
    TrainerSettings training,
    Advantage advantage,
    Lora lora,
    @Range(min = 0, max = 1_000_000) int epochs,
    Evaluation evaluation,
    @Range(min = 1) int checkpointEvery,
    long seed) {

  /** Checks that what is trained can be. */
  public FinetuneConfig {
    if (weights != WeightType.FLOAT32 && lora.rank() == 0) {
      throw new ConfigurationException(
          "weights is " + weights + ", but lora.rank is 0, which trains the weights themselves",
          "train adapters: set lora.rank=4; or set weights=float32");
    }
  }

  /** How a configuration is read. */
  public static final ConfigurationReader<FinetuneConfig> READER =
      new ConfigurationReader<>(
          "finetune",
          FinetuneConfig.class,
          List.of("quickstart"),
          List.of("model", "preferences", "prompts.source"),
          Map.of("objective", "objective", "reward", "reward", "watch", "reward"),
          FinetuneConfig::settle);

  /** Names the model that is taken where none is named. */
  public static final String ICONS = "icons";

  /** Names the prompts that the model was trained with. */
  public static final String MODEL = "model";

  /** With what a reward is compared. */
  public enum Baseline {
    /** The other images of the same prompt in this epoch. */
    GROUP,
    /** All images of this epoch. */
    BATCH,
    /** The same prompt's images of this and earlier epochs. */
    PER_PROMPT,
    /** Nothing: the reward itself. */
    NONE
  }

  /**
   * Prompts.
   *
   * @param source "model" for those that the model was trained with, the name of a {@link
   *     reverie.app.data.DataSet}, "animals", "animal_activities", "template", or a text file with
   *     a prompt a line
   * @param template a text with slots, {@code "a {colour} {animal}"}
   * @param slots the words of each slot
   * @param heldOut a regular expression that is found in prompts that are measured only; empty for
   *     those that the model's own training left out
   * @param limit prompts that are trained on at most; 0 for all
   * @param perEpoch different prompts in an epoch
   * @param imagesEach images of each prompt in an epoch
   */
  public record Prompts(
      String source,
      String template,
      Map<String, List<String>> slots,
      String heldOut,
      @Range(min = 0) int limit,
      @Range(min = 1) int perEpoch,
      @Range(min = 1) int imagesEach) {}

  /** The rule of a step of the reverse process. */
  public enum Scheduler {
    /** What suits the model: {@link #DDIM}, or {@link #FLOW_SDE} for a flow. */
    AUTO(Double.NaN),
    /** DDIM (Song et al. 2021), with noise by eta. */
    DDIM(1),
    /** Ancestral sampling of DDPM (Ho et al. 2020): eta 1. */
    DDPM(1),
    /** DPM-Solver++ 2M (Lu et al. 2022), of a diffusion or a flow: deterministic. */
    DPM_SOLVER(0),
    /** The pseudo linear multistep method of PNDM (Liu et al. 2022): deterministic. */
    PNDM(0),
    /** The flow SDE of Flow-GRPO (Liu et al. 2025). */
    FLOW_SDE(0.7),
    /** The flow SDE of DanceGRPO (Xue et al. 2025). */
    DANCE_SDE(0.3),
    /** Flow-CPS (Wang and Yu 2025). */
    CPS(0.7),
    /** The flow's differential equation: deterministic. */
    ODE(0);

    private final double usualEta;

    Scheduler(double usualEta) {
      this.usualEta = usualEta;
    }

    /** The name in configurations. */
    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }

    private boolean isOfFlows() {
      return this == FLOW_SDE || this == DANCE_SDE || this == CPS || this == ODE;
    }

    private boolean suits(boolean flow) {
      return this == DPM_SOLVER || flow == isOfFlows();
    }
  }

  /**
   * The reverse process.
   *
   * @param steps T
   * @param scheduler the rule of a step
   * @param eta how much chance enters: for ddim 1 is DDPM's variance and 0 deterministic, of a flow
   *     the level of its noise; empty for what is usual with the scheduler
   * @param secondOrder whether steps without chance are made by DPM-Solver++ 2M
   * @param guidance scale of classifier-free guidance; 1 is off
   * @param batchSize images in one pass through the model
   * @param size of an image
   */
  public record Sampling(
      @Range(min = 1, max = 1000) int steps,
      Scheduler scheduler,
      @Range(min = 0, max = 1) Optional<Double> eta,
      boolean secondOrder,
      @Range(min = 0, max = 100) double guidance,
      @Range(min = 1, max = 100_000) int batchSize,
      ImageSize size) {

    /** Checks that schedulers which leave no choice of eta have theirs. */
    public Sampling {
      if (List.of(Scheduler.DDPM, Scheduler.DPM_SOLVER, Scheduler.PNDM, Scheduler.ODE)
              .contains(scheduler)
          && eta.isPresent()
          && eta.get() != scheduler.usualEta) {
        throw new ConfigurationException(
            "sampling.scheduler is " + scheduler + ", but sampling.eta is " + eta.get(),
            "leave sampling.eta out, or choose a scheduler with another level of noise");
      }
    }

    /** The same for images of another size. */
    public Sampling sized(ImageSize other) {
      return new Sampling(steps, scheduler, eta, secondOrder, guidance, batchSize, other);
    }

    /** The reverse process of a model with this scheduler. */
    public ReversePolicy process(SchedulerConfig config) {
      boolean flow = config.prediction() == Prediction.FLOW;
      Scheduler rule =
          scheduler == Scheduler.AUTO ? flow ? Scheduler.FLOW_SDE : Scheduler.DDIM : scheduler;
      if (!rule.suits(flow)) {
        throw new ConfigurationException(
            String.format(
                Locale.ROOT,
                "sampling.scheduler is %s, but the model is a %s",
                rule,
                flow ? "flow" : "diffusion"),
            "set sampling.scheduler=auto, or one of "
                + Stream.of(Scheduler.values())
                    .filter(other -> other != Scheduler.AUTO && other.suits(flow))
                    .map(Scheduler::toString)
                    .collect(Collectors.joining(", ")));
      }
      double level = eta.orElse(rule.usualEta);
      ReversePolicy process =
          switch (rule) {
            case AUTO, DDIM -> ReversePolicy.ddim(config, steps, level);
            case DDPM -> ReversePolicy.ddpm(config, steps);
            case DPM_SOLVER -> ReversePolicy.dpmSolver(config, steps);
            case PNDM -> ReversePolicy.pndm(config, steps);
            case FLOW_SDE -> ReversePolicy.flow(config, steps, FlowNoise.FLOW_SDE, level);
            case DANCE_SDE -> ReversePolicy.flow(config, steps, FlowNoise.DANCE_SDE, level);
            case CPS -> ReversePolicy.flow(config, steps, FlowNoise.CPS, level);
            case ODE -> ReversePolicy.flow(config, steps, FlowNoise.ODE, level);
          };
      return secondOrder ? process.secondOrder() : process;
    }
  }

  /**
   * From rewards to advantages.
   *
   * @param baseline with what a reward is compared
   * @param scale whose standard deviation a group's advantages are divided by
   * @param deviation which standard deviation that is
   * @param bufferSize rewards of a prompt that are remembered, for "per_prompt"
   * @param bufferMinimum rewards that a prompt needs for statistics of its own, for "per_prompt"
   */
  public record Advantage(
      Baseline baseline,
      GroupAdvantages.Scale scale,
      GroupAdvantages.Deviation deviation,
      @Range(min = 1) int bufferSize,
      @Range(min = 1) int bufferMinimum) {}

  /**
   * Low-rank adapters.
   *
   * @param rank 0 trains all weights instead
   * @param alpha scale: the adapter's output counts alpha/rank
   * @param targets regular expressions of modules of the U-Net
   * @param textEncoder the same of a pipeline's text encoder; none leaves it as it is
   */
  public record Lora(
      @Range(min = 0, max = 65_536) int rank,
      @Range(min = 0) double alpha,
      List<String> targets,
      List<String> textEncoder) {
    /** Copies the lists, but for empty entries, which are refused by their place. */
    public Lora {
      targets = Collections.unmodifiableList(new ArrayList<>(targets));
      textEncoder = Collections.unmodifiableList(new ArrayList<>(textEncoder));
      if (targets.isEmpty()) {
        throw new ConfigurationException(
            "lora.targets is empty", "for adapters on attention: to_q, to_k, to_v, to_out\\.0");
      }
    }
  }

  /**
   * Measuring on fixed prompts and seeds.
   *
   * @param samples images before and after, on training prompts and on held-out ones each
   * @param every epochs between two points of the frontier
   * @param everySamples images for such a point
   */
  public record Evaluation(
      @Range(min = 2, max = 1_000_000) int samples,
      @Range(min = 1) int every,
      @Range(min = 2, max = 1_000_000) int everySamples) {}

  /**
   * Reads a single reward, as the configuration writes it.
   *
   * @param yaml a name, or one kind with its settings
   * @param place where it was written, for errors
   * @return the reward
   */
  public static RewardChoice reward(String yaml, String place) {
    return READER.reward(yaml, place);
  }

  /** Gives empty settings what they stand for. */
  private static void settle(ObjectNode tree) {
    ObjectNode reward = (ObjectNode) tree.get("reward");
    if (reward.path("timeout_seconds").isNull()) {
      reward.put("timeout_seconds", Bindings.usualTimeout(reward).toMillis() / 1000.0);
    }
    ObjectNode update = (ObjectNode) tree.get("update");
    var objective = tree.get("objective").properties().iterator().next();
    JsonNode range = update.get("clip_range");
    if (!range.isNull()) {
      if (!objective.getValue().has("clip_range")) {
        throw new ConfigurationException(
            String.format(
                Locale.ROOT,
                "update.clip_range is %s, but %s clips nothing",
                range,
                objective.getKey()),
            "leave update.clip_range out, or choose an objective with a clip_range");
      }
      ((ObjectNode) objective.getValue()).set("clip_range", range);
    }
    if (update.get("kl_to_base").isNull()) {
      update.put(
          "kl_to_base",
          Objectives.named(objective.getKey()).orElseThrow() instanceof StepObjective steps
              ? steps.usualKlWeight()
              : 0.0);
    }
  }
}
