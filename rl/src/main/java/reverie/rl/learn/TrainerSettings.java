// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import io.soabase.recordbuilder.core.RecordBuilder;
import java.lang.reflect.RecordComponent;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import reverie.autograd.optim.AdamW;
import reverie.tensor.ReverieException;

/**
 * How a run goes about it; what it is after are the objective, the reward and the prompts.
 *
 * <pre>{@code
 * TrainerSettings.defaults().withLearningRate(5e-4)
 * TrainerSettings.defaults().with(it -> it.learningRate(5e-4).warmup(10))
 * }</pre>
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
 * @param window in which steps of a chain chance enters, and is trained
 * @param samplingBatch samples drawn at once, and scored at once
 * @param trainingBatch decisions differentiated at once; memory grows with it, the result does not
 *     depend on it
 * @param updatesPerEpoch optimizer steps per pass, each on an equal share of the samples
 * @param passes how often every sample is trained with before new ones are drawn
 * @param shards parts that an epoch's samples are divided into: each is drawn and differentiated by
 *     itself, on any machine, gives an equal share to every update, and the sums of all are added
 *     in a fixed order; so many machines can share the work, and none changes the result
 * @param stepFraction share of a chain's decisions that is trained, drawn anew per sample and pass
 * @param klWeight weight of the exact Gaussian KL to the reference model. Surrogate and KL are
 *     averaged alike over decisions and elements, so that it is that of the true KL of the chain
 *     against the expected advantage
 * @param learningRate of AdamW
 * @param warmup updates over which the learning rate rises; AdamW's first steps are as long as its
 *     later ones but know much less of the gradient
 * @param optimizer its other options
 * @param gradientClip largest norm of the gradient; 0 for any
 * @param emaDecay of the average of the weights with warm-up; 0 for no average
 * @param rewardTimeout how long the reward may take for one sampling batch
 * @param ratioTolerance how far {@code exp(lp - lp_old)} may be from 1 before the first update
 */
@RecordBuilder
public record TrainerSettings(
    @Setting("seed") long seed,
    @Setting("prompts.per_epoch") int promptsPerEpoch,
    @Setting("prompts.images_each") int samplesPerPrompt,
    @Setting("rollout.shared_start") boolean sharedStart,
    @Setting("rollout.offline") boolean offline,
    @Setting("rollout.window") Window window,
    @Setting("sampling.batch_size") int samplingBatch,
    @Setting("update.batch_size") int trainingBatch,
    @Setting("update.per_epoch") int updatesPerEpoch,
    @Setting("update.passes") int passes,
    @Setting("update.shards") int shards,
    @Setting("update.step_fraction") double stepFraction,
    @Setting("update.kl_to_base") double klWeight,
    @Setting("optimizer.learning_rate") double learningRate,
    @Setting("update.warmup") int warmup,
    @Setting("optimizer") AdamW.Options optimizer,
    @Setting("optimizer.clip_norm") double gradientClip,
    @Setting("ema.decay") double emaDecay,
    @Setting("reward.timeout_seconds") Duration rewardTimeout,
    @Setting("update.ratio_tolerance") double ratioTolerance)
    implements TrainerSettingsBuilder.With {

  private static final int MAX_SAMPLES = 10_000_000;

  /** Checks every range. */
  public TrainerSettings {
    atLeastOne("promptsPerEpoch", promptsPerEpoch);
    atLeastOne("samplesPerPrompt", samplesPerPrompt);
    atLeastOne("samplingBatch", samplingBatch);
    atLeastOne("trainingBatch", trainingBatch);
    atLeastOne("updatesPerEpoch", updatesPerEpoch);
    atLeastOne("passes", passes);
    atLeastOne("shards", shards);
    check("stepFraction", stepFraction, stepFraction > 0 && stepFraction <= 1, "in (0, 1]");
    check("klWeight", klWeight, klWeight >= 0 && Double.isFinite(klWeight), "of 0 or more");
    check("learningRate", learningRate, learningRate > 0 && learningRate < 1e3, "above 0");
    check("warmup", warmup, warmup >= 0, "of 0 or more");
    check("gradientClip", gradientClip, gradientClip >= 0, "of 0 or more");
    check("rewardTimeout", rewardTimeout, rewardTimeout.isPositive(), "above 0");
    check("emaDecay", emaDecay, emaDecay >= 0 && emaDecay < 1, "in [0, 1)");
    check("ratioTolerance", ratioTolerance, ratioTolerance >= 0, "of 0 or more");
    if (samples(promptsPerEpoch, samplesPerPrompt) % updatesPerEpoch != 0) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "trainer: %d samples an epoch (%d prompts, %d samples each) do not divide into %d"
                  + " updates",
              samples(promptsPerEpoch, samplesPerPrompt),
              promptsPerEpoch,
              samplesPerPrompt,
              updatesPerEpoch));
    }
    if (promptsPerEpoch % shards != 0
        || samples(promptsPerEpoch, samplesPerPrompt) / updatesPerEpoch % shards != 0) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "trainer: %d prompts an epoch, %d samples each, in %d updates, do not divide into %d"
                  + " shards",
              promptsPerEpoch,
              samplesPerPrompt,
              updatesPerEpoch,
              shards),
          "let the number of shards divide that of the prompts, and of the samples of an update");
    }
  }

  /** 8 prompts with 8 samples each, 2 updates an epoch, AdamW at 1e-4, gradient norm at most 1. */
  public static TrainerSettings defaults() {
    return TrainerSettingsBuilder.builder()
        .promptsPerEpoch(8)
        .samplesPerPrompt(8)
        .window(Window.NONE)
        .samplingBatch(32)
        .trainingBatch(32)
        .updatesPerEpoch(2)
        .passes(1)
        .shards(1)
        .stepFraction(1)
        .learningRate(1e-4)
        .optimizer(AdamW.Options.weightDecay(1e-4))
        .gradientClip(1)
        .rewardTimeout(Duration.ofMinutes(5))
        .ratioTolerance(1e-5)
        .build();
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
    long samples = (long) prompts * perPrompt;
    check("promptsPerEpoch", prompts, samples <= MAX_SAMPLES, "of fewer than 10 million samples");
    return (int) samples;
  }

  private static void atLeastOne(String name, int value) {
    check(name, value, value >= 1, "of at least 1");
  }

  private static void check(String name, Object value, boolean fine, String expected) {
    if (!fine) {
      throw new SettingException(name, expected, value);
    }
  }
}
