// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.lang.invoke.MethodHandles;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.DoubleUnaryOperator;
import java.util.function.IntConsumer;
import java.util.function.IntToDoubleFunction;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import reverie.autograd.optim.BackwardPass;
import reverie.diffusion.Denoiser;
import reverie.diffusion.DenoisingLoss;
import reverie.diffusion.NoiseSchedule;
import reverie.rl.Policy;
import reverie.rl.objective.Denoised;
import reverie.rl.objective.DenoisingObjective;
import reverie.rl.objective.DenoisingObjective.Model;
import reverie.tensor.Ops;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.graph.MicroBatched;
import reverie.tensor.op.Copy;

/**
 * Noises finished samples again, guidance included, and differentiates what the objective makes of
 * it. The models that the loss compares with are asked first, without gradients; where samples of a
 * prompt hang together, so is the model itself; then the loss is differentiated micro-batch by
 * micro-batch. Every pass is captured at its first use.
 */
final class DenoisingPass implements Pass {
  private final Policy policy;
  private final DenoisingObjective objective;
  private final int batchSize;
  private final int groupSize;
  private final DenoisingLoss loss;
  private final BackwardPass<Inputs, BackwardPass.Nothing> pass;
  private final MicroBatched<Asked, Answer> own;
  private final MicroBatched<Asked, Answer> base;

  DenoisingPass(Fleet.Job job, DenoisingObjective objective) {
    policy = job.policy();
    this.objective = objective;
    batchSize = job.settings().trainingBatch();
    groupSize = objective.couples() ? job.settings().samplesPerPrompt() : 1;
    loss =
        new DenoisingLoss(
            policy.process().schedule(), policy.prediction(), Double.POSITIVE_INFINITY);
    pass =
        BackwardPass.of(
            MethodHandles.lookup(),
            policy.device(),
            job.gradients(),
            in -> {
              Tensor output = policy.denoiser().predict(in.x, in.timesteps, in.contexts);
              return objective.loss(in.denoised(output)).sum().mul(in.factor);
            });
    own = asking(policy.denoiser());
    base = asking(policy.reference());
  }

  private MicroBatched<Asked, Answer> asking(Denoiser denoiser) {
    return new MicroBatched<>(
        MethodHandles.lookup(),
        policy.device(),
        in -> new Answer(denoiser.predict(in.x, in.timesteps, in.contexts)));
  }

  /** What a model is asked. */
  private record Asked(Tensor x, Tensor timesteps, Tensor contexts) {}

  private record Answer(Tensor output) {}

  /** What the loss of a micro-batch depends on; null for what it does not look at. */
  private record Inputs(
      Tensor x,
      Tensor timesteps,
      Tensor contexts,
      Tensor target,
      Tensor old,
      Tensor base,
      Tensor anchor,
      Tensor noise,
      Tensor scale,
      Tensor weight,
      Tensor group,
      Tensor factor) {

    Denoised denoised(Tensor output) {
      return new Denoised(output, target, old, base, anchor, noise, scale, weight, group);
    }
  }

  /** Samples with one timestep and noise each, and the other models' answers. */
  private record Noised(
      int[] samples,
      double[] weights,
      DenoisingLoss.NoisedBatch noised,
      double[] timesteps,
      Tensor contexts,
      Map<Model, Tensor> answers) {

    Asked asked() {
      return new Asked(noised.x(), noised.timesteps(), contexts);
    }
  }

  @Override
  public Update.Outcome add(
      Rollout rollout, Update.Batch batch, Update update, IntConsumer trained) {
    List<Noised> parts = noised(rollout, batch, update.rng());
    ask(Model.BASE, parts, () -> answers(base, parts));
    update
        .lagged()
        .forEach(
            (model, lagged) -> ask(model, parts, () -> lagged.during(() -> answers(own, parts))));
    Map<Integer, Double> groups = objective.couples() ? groups(parts) : null;
    double sum = 0;
    for (Noised part : parts) {
      Learner.checkInterrupted();
      try (Scope _ = Scope.open("denoising")) {
        sum += pass.add(inputs(part, groups, update.factor())).sum().item();
      }
      trained.accept(part.samples.length);
    }
    return new Update.Outcome(sum, null, null);
  }

  private List<Noised> noised(Rollout rollout, Update.Batch batch, Rng rng) {
    List<Noised> parts = new ArrayList<>();
    int all = batch.samples().length;
    for (int from = 0; from < all; from += batchSize) {
      int to = Math.min(from + batchSize, all);
      int[] samples = Arrays.copyOfRange(batch.samples(), from, to);
      int[] draws = Arrays.copyOfRange(batch.steps(), from, to);
      // Samples of a group that hang together have all chance in common.
      Rng[] rows = new Rng[samples.length];
      Arrays.setAll(rows, i -> rng.fork(samples[i] / groupSize, draws[i]));
      Tensor images = rollout.finished(samples);
      DenoisingLoss.NoiseDraw drawn = loss.draw(images, rows);
      if (objective.usesSamplerSteps()) {
        drawn = new DenoisingLoss.NoiseDraw(samplerSteps(samples, rng, draws), drawn.noise());
      }
      parts.add(
          new Noised(
              samples,
              Arrays.copyOfRange(batch.weights(), from, to),
              loss.noised(images, drawn),
              drawn.timesteps(),
              rollout.contexts(samples),
              new EnumMap<>(Model.class)));
    }
    return parts;
  }

  /** The sampler's timesteps but the cleanest, each row's in an order of its own. */
  private double[] samplerSteps(int[] samples, Rng rng, int... draws) {
    double[] timesteps = policy.process().grid().timesteps();
    int count = Math.max(1, timesteps.length - 1);
    return IntStream.range(0, samples.length)
        .mapToDouble(
            i -> timesteps[rng.fork(samples[i] / groupSize).permutation(count)[draws[i] % count]])
        .toArray();
  }

  private void ask(Model model, List<Noised> parts, Supplier<List<Tensor>> question) {
    if (objective.compared().contains(model)) {
      List<Tensor> answers = question.get();
      for (int i = 0; i < answers.size(); i++) {
        parts.get(i).answers.put(model, answers.get(i));
      }
    }
  }

  private static List<Tensor> answers(MicroBatched<Asked, Answer> model, List<Noised> parts) {
    return parts.stream()
        .map(part -> Ops.apply(new Copy(), model.run(part.asked()).output))
        .toList();
  }

  /** The mean of the coupling over each group, by the number of the group. */
  private Map<Integer, Double> groups(List<Noised> parts) {
    Map<Integer, Double> means = new HashMap<>();
    List<Tensor> outputs = answers(own, parts);
    for (int i = 0; i < parts.size(); i++) {
      Noised part = parts.get(i);
      double[] each =
          objective.coupling(inputs(part, null, 1).denoised(outputs.get(i))).toDoubles();
      for (int k = 0; k < each.length; k++) {
        means.merge(part.samples[k] / groupSize, each[k] / groupSize, Double::sum);
      }
    }
    return means;
  }

  private Inputs inputs(Noised part, Map<Integer, Double> groups, double factor) {
    NoiseSchedule schedule = loss.schedule();
    DenoisingLoss.NoisedBatch noised = part.noised;
    int[] samples = part.samples;
    return new Inputs(
        noised.x(),
        noised.timesteps(),
        part.contexts,
        noised.target(),
        part.answers.get(Model.OLD),
        part.answers.get(Model.BASE),
        part.answers.get(Model.ANCHOR),
        column(part.timesteps, schedule::noise),
        column(
            part.timesteps,
            t -> Math.abs(loss.prediction().outputFactor(schedule.signal(t), schedule.noise(t)))),
        column(part.weights, DoubleUnaryOperator.identity()),
        groups == null ? null : each(samples, sample -> groups.get(sample / groupSize)),
        policy.device().scalar(factor));
  }

  private Tensor column(double[] values, DoubleUnaryOperator of) {
    return policy.device().tensor(Arrays.stream(values).map(of).toArray(), values.length);
  }

  private Tensor each(int[] samples, IntToDoubleFunction value) {
    return policy
        .device()
        .tensor(IntStream.of(samples).mapToDouble(value).toArray(), samples.length);
  }

  @Override
  public Optional<String> captureFailure() {
    return pass.captureFailure().or(own::captureFailure).or(base::captureFailure);
  }

  @Override
  public void discard() {
    pass.discard();
    own.discard();
    base.discard();
  }

  @Override
  public void close() {
    pass.close();
    own.close();
    base.close();
  }
}
