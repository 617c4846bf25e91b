// SPDX-License-Identifier: Apache-2.0
package reverie.rl.choice;

import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import reverie.autograd.optim.AdamW;
import reverie.diffusion.ReversePolicy;
import reverie.diffusion.Sampler;
import reverie.diffusion.Trajectory;
import reverie.rl.Policy;
import reverie.rl.advantage.RawAdvantages;
import reverie.rl.learn.Trainer;
import reverie.rl.learn.TrainerSettings;
import reverie.rl.objective.PreferenceObjective;
import reverie.rl.objective.RolloutObjective;
import reverie.rl.prompt.Prompt;
import reverie.rl.prompt.PromptSource;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * Trains a model by each objective that learns from choices, with as many pairs and updates, and
 * measures where it ends, how noisy its gradient is at the beginning and what a pair costs.
 * Objectives of preferences get pairs that the base model drew, each once; the others draw from the
 * model as it is.
 *
 * @param problem makes the model, always the same
 * @param updates of a run
 * @param pairs in an update
 * @param learningRate of AdamW
 * @param average decay of the running average of the weights, which is what is measured; 0 for the
 *     weights themselves
 * @param seeds runs of each objective
 * @param batches whose gradients are compared, of {@link #NOISE_PAIRS} pairs each
 * @param chains whose divergence from those of the base model is measured
 */
public record ChoiceStudy(
    Supplier<ChoiceProblem> problem,
    int updates,
    int pairs,
    double learningRate,
    double average,
    int seeds,
    int batches,
    int chains) {
  /** Pairs in a batch whose gradient is looked at. */
  public static final int NOISE_PAIRS = 8;

  private static final int DRAWN_AT_ONCE = 128;

  /**
   * What became of an objective.
   *
   * @param measured by name, a value for each seed
   * @param noise of the gradient before the first update
   * @param secondsPerThousand pairs, of processor time, drawing included where the objective draws
   */
  public record Outcome(
      Contender contender,
      Map<String, double[]> measured,
      GradientNoise noise,
      double secondsPerThousand) {}

  /** Runs all seeds of an objective. */
  public Outcome run(Contender contender) {
    GradientNoise noise = GradientNoise.of(gradients(contender, NOISE_PAIRS), NOISE_PAIRS);
    Map<String, double[]> measured = new LinkedHashMap<>();
    double seconds = 0;
    for (int seed = 0; seed < seeds; seed++) {
      try (ChoiceProblem model = problem.get();
          Trainer trainer = trainer(contender, model, seed, pairs, updates)) {
        double started = processorSeconds();
        trainer.run(updates);
        seconds += processorSeconds() - started;
        trainer.average().ifPresent(model.policy().parameters()::copyFrom);
        int at = seed;
        model
            .measure(divergence(model, seed))
            .forEach((name, value) ->
                measured.computeIfAbsent(name, _ -> new double[seeds])[at] = value);
      }
    }
    return new Outcome(contender, measured, noise, 1000 * seconds / seeds / updates / pairs);
  }

  /** Of all threads, whatever else the machine does. */
  private static double processorSeconds() {
    return ProcessHandle.current().info().totalCpuDuration().orElse(Duration.ZERO).toNanos() * 1e-9;
  }

  /** The gradients of this study's batches at the model as it is, of so many pairs each. */
  List<double[]> gradients(Contender contender, int pairsEach) {
    try (ChoiceProblem model = problem.get();
        Trainer trainer = trainer(contender, model, seeds, pairsEach, batches)) {
      return IntStream.range(0, batches).mapToObj(trainer::gradient).toList();
    }
  }

  private Trainer trainer(
      Contender contender, ChoiceProblem model, long seed, int pairsEach, int epochs) {
    Policy policy = model.policy();
    TrainerSettings settings =
        TrainerSettings.defaults()
            .with(it -> {
              it.seed(seed);
              it.promptsPerEpoch(pairsEach);
              it.samplesPerPrompt(2);
              it.sharedStart(contender.sharedStart());
              it.samplingBatch(2 * pairsEach);
              it.trainingBatch(2 * pairsEach);
              it.updatesPerEpoch(1);
              it.learningRate(learningRate);
              it.warmup(10);
              it.optimizer(AdamW.Options.weightDecay(0));
              it.gradientClip(0);
              it.emaDecay(average);
            });
    return switch (contender.objective()) {
      case RolloutObjective objective ->
          new Trainer(
              policy,
              objective,
              new RawAdvantages(),
              PromptSource.of(
                  model.prompts(pairsEach).stream().map(Prompt::text).toArray(String[]::new)),
              Choices.noisy(model.reward(), seed),
              settings);
      case PreferenceObjective objective ->
          new Trainer(
              policy,
              objective,
              Choices.draw(
                  policy, model.reward(), model.prompts(pairsEach * epochs), seed, DRAWN_AT_ONCE),
              settings.with(it -> {
                it.promptsPerEpoch(pairsEach);
                it.samplesPerPrompt(1);
                it.trainingBatch(pairsEach);
              }));
    };
  }

  /** The KL of chains to those of the base model, in nats. */
  private double divergence(ChoiceProblem model, long seed) {
    Policy policy = model.policy();
    ReversePolicy process = policy.process();
    int elements = policy.height() * policy.width() * policy.channels();
    List<Prompt> prompts = model.prompts(chains);
    Rng[] rows =
        IntStream.range(0, chains).mapToObj(i -> Sampler.row(seed, 2, i)).toArray(Rng[]::new);
    try (Scope _ = Scope.open("divergence")) {
      Tensor context = policy.encoder().encode(prompts);
      Trajectory drawn =
          new Sampler(process, policy.device())
              .rollout(
                  policy.denoiser(),
                  context,
                  rows,
                  policy.height(),
                  policy.width(),
                  policy.channels());
      double sum = 0;
      for (int i : process.decisions()) {
        try (Scope _ = Scope.open("step")) {
          Tensor x = drawn.before(i);
          Tensor t = process.timesteps(x, i);
          ReversePolicy.Step now = process.step(x, policy.denoiser().predict(x, t, context), i);
          ReversePolicy.Step base = process.step(x, policy.reference().predict(x, t, context), i);
          sum += process.divergence(now, base).mean().item() * elements;
        }
      }
      return sum;
    }
  }
}
