// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.lang.reflect.RecordComponent;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.function.Consumer;
import reverie.autograd.optim.AdamW;
import reverie.tensor.ReverieException;

/**
 * How a run goes about it; what it is after are the objective, the reward and the prompts.
 *
 * @param seed all chance in the run comes from it
 * @param promptsPerEpoch how many prompts are drawn
 * @param samplesPerPrompt how many samples each gets: several, if advantages compare within a
 *     prompt
 * @param sharedStart whether the samples of a prompt in an epoch start from the same x_T, so that
 *     only the decisions tell them apart
 * @param offline whether samples are drawn and scored once, by the reference model before the first
 *     epoch, and learnt from in every epoch; a run that is resumed draws the same ones again and
 *     remembers what they earned
 * @param samplingBatch samples drawn at once, and scored at once
 * @param trainingBatch decisions differentiated at once; memory grows with it, the result does not
 *     depend on it
 * @param updatesPerEpoch optimizer steps per pass, each on an equal share of the samples
 * @param passes how often every sample is trained with before new ones are drawn
 * @param stepFraction share of a chain's decisions that is trained, drawn anew per sample and pass
 * @param klWeight weight of the exact Gaussian KL to the reference model, averaged over decisions,
 *     in the units of the policy's log-probability: with means over the D elements of an image and
 *     T decisions the weight of the true KL of the chain is {@code klWeight / (D T)}
 * @param learningRate of AdamW
 * @param warmup updates over which the learning rate rises; AdamW's first steps are as long as its
 *     later ones but know much less of the gradient
 * @param optimizer its other options
 * @param gradientClip largest norm of the gradient
 * @param emaDecay of the average of the weights with warm-up; 0 for no average
 * @param rewardTimeout how long the reward may take for one sampling batch
 * @param ratioTolerance how far {@code exp(lp - lp_old)} may be from 1 before the first update
 */
public record TrainerSettings(
    long seed,
    int promptsPerEpoch,
    int samplesPerPrompt,
    boolean sharedStart,
    boolean offline,
    int samplingBatch,
    int trainingBatch,
    int updatesPerEpoch,
    int passes,
    double stepFraction,
    double klWeight,
    double learningRate,
    int warmup,
    AdamW.Options optimizer,
    double gradientClip,
    double emaDecay,
    Duration rewardTimeout,
    double ratioTolerance) {

  /** Checks every range. */
  public TrainerSettings {
    atLeastOne("promptsPerEpoch", promptsPerEpoch);
    atLeastOne("samplesPerPrompt", samplesPerPrompt);
    atLeastOne("samplingBatch", samplingBatch);
    atLeastOne("trainingBatch", trainingBatch);
    atLeastOne("updatesPerEpoch", updatesPerEpoch);
    atLeastOne("passes", passes);
    check("stepFraction", stepFraction, stepFraction > 0 && stepFraction <= 1, "in (0, 1]");
    check("klWeight", klWeight, klWeight >= 0 && Double.isFinite(klWeight), "of 0 or more");
    check("learningRate", learningRate, learningRate > 0 && learningRate < 1e3, "above 0");
    check("warmup", warmup, warmup >= 0, "of 0 or more");
    check("gradientClip", gradientClip, gradientClip > 0, "above 0");
    check("emaDecay", emaDecay, emaDecay >= 0 && emaDecay < 1, "in [0, 1)");
    check("ratioTolerance", ratioTolerance, ratioTolerance >= 0, "of 0 or more");
    if (samples(promptsPerEpoch, samplesPerPrompt) % updatesPerEpoch != 0) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "trainer: %d samples an epoch (%d prompts, %d samples each) do not divide into %d updates",
              samples(promptsPerEpoch, samplesPerPrompt),
              promptsPerEpoch,
              samplesPerPrompt,
              updatesPerEpoch));
    }
  }

  /** 8 prompts with 8 samples each, 2 updates an epoch, AdamW at 1e-4, gradient norm at most 1. */
  public static TrainerSettings defaults() {
    return new Draft().settings();
  }

  /**
   * The same but for what {@code change} sets.
   *
   * <pre>{@code
   * TrainerSettings.defaults().but(it -> it.learningRate = 5e-4)
   * }</pre>
   */
  public TrainerSettings but(Consumer<Draft> change) {
    Draft draft = new Draft();
    draft.seed = seed;
    draft.promptsPerEpoch = promptsPerEpoch;
    draft.samplesPerPrompt = samplesPerPrompt;
    draft.sharedStart = sharedStart;
    draft.offline = offline;
    draft.samplingBatch = samplingBatch;
    draft.trainingBatch = trainingBatch;
    draft.updatesPerEpoch = updatesPerEpoch;
    draft.passes = passes;
    draft.stepFraction = stepFraction;
    draft.klWeight = klWeight;
    draft.learningRate = learningRate;
    draft.warmup = warmup;
    draft.optimizer = optimizer;
    draft.gradientClip = gradientClip;
    draft.emaDecay = emaDecay;
    draft.rewardTimeout = rewardTimeout;
    draft.ratioTolerance = ratioTolerance;
    change.accept(draft);
    return draft.settings();
  }

  /** Settings that are being written down; every field is a component of the record. */
  public static final class Draft {
    public long seed;
    public int promptsPerEpoch = 8;
    public int samplesPerPrompt = 8;
    public boolean sharedStart;
    public boolean offline;
    public int samplingBatch = 32;
    public int trainingBatch = 32;
    public int updatesPerEpoch = 2;
    public int passes = 1;
    public double stepFraction = 1;
    public double klWeight;
    public double learningRate = 1e-4;
    public int warmup;
    public AdamW.Options optimizer = AdamW.Options.weightDecay(1e-4);
    public double gradientClip = 1;
    public double emaDecay;
    public Duration rewardTimeout = Duration.ofMinutes(5);
    public double ratioTolerance = 1e-5;

    private Draft() {}

    private TrainerSettings settings() {
      return new TrainerSettings(
          seed,
          promptsPerEpoch,
          samplesPerPrompt,
          sharedStart,
          offline,
          samplingBatch,
          trainingBatch,
          updatesPerEpoch,
          passes,
          stepFraction,
          klWeight,
          learningRate,
          warmup,
          optimizer,
          gradientClip,
          emaDecay,
          rewardTimeout,
          ratioTolerance);
    }
  }

  /** Samples drawn, and scored, per epoch. */
  public int samplesPerEpoch() {
    return samples(promptsPerEpoch, samplesPerPrompt);
  }

  /** Everything that has a say in the result, by name. */
  Map<String, String> described() {
    Map<String, String> described = new LinkedHashMap<>();
    for (RecordComponent component : TrainerSettings.class.getRecordComponents()) {
      if (!component.getName().equals("rewardTimeout")) {
        try {
          described.put(component.getName(), component.getAccessor().invoke(this).toString());
        } catch (ReflectiveOperationException e) {
          throw new AssertionError(e);
        }
      }
    }
    return described;
  }

  private static int samples(int prompts, int perPrompt) {
    return Math.multiplyExact(prompts, perPrompt);
  }

  private static void atLeastOne(String name, int value) {
    check(name, value, value >= 1, "of at least 1");
  }

  private static void check(String name, double value, boolean fine, String expected) {
    if (!fine) {
      throw new ReverieException(
          String.format(Locale.ROOT, "trainer: expected %s %s, got %s", name, expected, value));
    }
  }
}
