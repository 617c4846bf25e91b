// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.lang.invoke.MethodHandles;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;
import reverie.autograd.Tape;
import reverie.autograd.optim.BackwardPass;
import reverie.autograd.optim.GradientAccumulator;
import reverie.autograd.optim.GradientTree;
import reverie.diffusion.DenoisingLoss;
import reverie.rl.Policy;
import reverie.rl.objective.PreferenceObjective;
import reverie.rl.preference.Preference;
import reverie.tensor.Ops;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * Learns by a {@link PreferenceObjective}: both images of a pair at the same random timestep with
 * the same fresh noise, guidance included. The backward pass of a micro-batch of pairs is captured
 * at its first use.
 */
final class PreferenceLearner implements Learner<List<Preference>> {
  private final Policy policy;
  private final TrainerSettings settings;
  private final GradientAccumulator gradients;
  private final DenoisingLoss denoising;
  private final BackwardPass<Inputs, Excess> pass;
  private final Optional<LikelihoodPass> exact;
  private List<Preference> pairs;
  private Contexts contexts;
  private Diagnostics diagnostics;
  private IntConsumer trained;

  PreferenceLearner(
      Policy policy,
      PreferenceObjective objective,
      TrainerSettings settings,
      GradientAccumulator gradients) {
    policy.requireReference(
        "trainer: " + objective.name() + " needs a reference model, the policy has none");
    Learner.requireNoKl(
        objective.name(),
        settings,
        "set klWeight to 0; its beta keeps the model near the reference");
    this.policy = policy;
    this.settings = settings;
    this.gradients = gradients;
    denoising =
        new DenoisingLoss(
            policy.process().schedule(), policy.prediction(), Double.POSITIVE_INFINITY);
    pass =
        new BackwardPass<>(
            MethodHandles.lookup(), policy.device(), gradients, in -> loss(policy, objective, in));
    exact =
        objective.likelihood().map(how -> new LikelihoodPass(policy, objective, how, gradients));
  }

  private record Inputs(
      DenoisingLoss.NoisedBatch chosen,
      DenoisingLoss.NoisedBatch rejected,
      Tensor contexts,
      Tensor factor) {}

  /** By how much the denoising losses of images exceed the reference's. */
  record Excess(Tensor chosen, Tensor rejected) {}

  /** Both images of the pairs in one batch, so that each model is called once. */
  private static BackwardPass.Loss<Excess> loss(
      Policy policy, PreferenceObjective objective, Inputs in) {
    DenoisingLoss.NoisedBatch chosen = in.chosen;
    DenoisingLoss.NoisedBatch rejected = in.rejected;
    var both =
        new DenoisingLoss.NoisedBatch(
            Ops.concat(0, chosen.x(), rejected.x()),
            Ops.concat(0, chosen.timesteps(), rejected.timesteps()),
            Ops.concat(0, chosen.target(), rejected.target()),
            null);
    Tensor twice = in.contexts == null ? null : Ops.concat(0, in.contexts, in.contexts);
    Tensor base = Tape.noGradient(() -> both.perSample(policy.reference(), twice));
    Tensor excess = both.perSample(policy.denoiser(), twice).sub(base);
    int n = chosen.x().dim(0);
    Tensor ofChosen = excess.slice(0, 0, n);
    Tensor ofRejected = excess.slice(0, n, 2 * n);
    Tensor loss = objective.loss(ofChosen, ofRejected).sum().mul(in.factor);
    return new BackwardPass.Loss<>(loss, new Excess(ofChosen, ofRejected));
  }

  @Override
  public void begin(List<Preference> experience, Diagnostics diagnostics, IntConsumer progress) {
    pairs = experience;
    contexts = new Contexts(policy, pairs.stream().map(Preference::prompt).toList());
    this.diagnostics = diagnostics;
    trained = progress;
  }

  @Override
  public int samples() {
    return pairs.size();
  }

  @Override
  public int itemsPerSample() {
    return 1;
  }

  @Override
  public void differentiate(int[][] shards, Rng rng) {
    double factor = 1.0 / Arrays.stream(shards).mapToInt(shard -> shard.length).sum();
    GradientTree.sum(
        gradients,
        shards.length,
        shard -> {
          for (int[] batch : Learner.batches(shards[shard], settings.trainingBatch())) {
            Learner.checkInterrupted();
            try (Scope _ = Scope.open("preferences")) {
              differentiate(batch, rng, factor);
            }
            trained.accept(batch.length);
          }
        });
  }

  private void differentiate(int[] batch, Rng rng, double factor) {
    Tensor chosen = images(batch, Preference::chosen);
    Tensor rejected = images(batch, Preference::rejected);
    BackwardPass.Loss<Excess> out =
        exact.isPresent()
            ? exact.get().add(chosen, rejected, contexts(batch), rows(batch, rng), factor)
            : add(chosen, rejected, batch, rng, factor);
    diagnostics.addLoss(out.sum().item());
    record(diagnostics, out.samples().chosen.toDoubles(), out.samples().rejected.toDoubles());
  }

  private BackwardPass.Loss<Excess> add(
      Tensor chosen, Tensor rejected, int[] batch, Rng rng, double factor) {
    DenoisingLoss.NoiseDraw noise = denoising.draw(chosen, rows(batch, rng));
    DenoisingLoss.NoisedBatch noisedChosen = denoising.noised(chosen, noise);
    DenoisingLoss.NoisedBatch noisedRejected = denoising.noised(rejected, noise);
    return pass.add(
        new Inputs(noisedChosen, noisedRejected, contexts(batch), policy.device().scalar(factor)));
  }

  /**
   * Records how pairs are ordered by the excess of their images' losses over the reference's.
   *
   * @param chosen excess of the preferred images
   * @param rejected excess of the others
   */
  static void record(Diagnostics diagnostics, double[] chosen, double[] rejected) {
    for (int i = 0; i < chosen.length; i++) {
      diagnostics.record(
          "implicit_accuracy", chosen[i] < rejected[i] ? 1 : chosen[i] > rejected[i] ? 0 : 0.5);
    }
    diagnostics.record("excess_chosen", chosen);
    diagnostics.record("excess_rejected", rejected);
  }

  /** The preferred images, noised to where these steps of the chain begin. */
  Tensor before(int[] samples, int[] steps, Rng rng) {
    Tensor images = images(samples, Preference::chosen);
    double[] timesteps = IntStream.of(steps).mapToDouble(policy.process()::timestep).toArray();
    Tensor noise = denoising.draw(images, rows(samples, rng)).noise();
    return policy.process().schedule().addNoise(images, noise, timesteps);
  }

  /** What the pairs were compared for, or null. */
  Tensor contexts(int... samples) {
    return contexts.of(samples);
  }

  private static Rng[] rows(int[] samples, Rng rng) {
    return IntStream.of(samples).mapToObj(rng::fork).toArray(Rng[]::new);
  }

  private Tensor images(int[] samples, Function<Preference, float[]> which) {
    int elements = policy.height() * policy.width() * policy.channels();
    float[] all = new float[samples.length * elements];
    for (int i = 0; i < samples.length; i++) {
      System.arraycopy(which.apply(pairs.get(samples[i])), 0, all, i * elements, elements);
    }
    return policy
        .device()
        .tensor(all, samples.length, policy.height(), policy.width(), policy.channels());
  }

  @Override
  public void finishEpoch(int number) {
    pairs = null;
    contexts = null;
  }

  @Override
  public Optional<String> captureFailure() {
    return exact.isPresent() ? exact.get().captureFailure() : pass.captureFailure();
  }

  @Override
  public void close() {
    pass.close();
    exact.ifPresent(LikelihoodPass::close);
  }
}
