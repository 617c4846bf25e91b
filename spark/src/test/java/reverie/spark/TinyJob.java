// SPDX-License-Identifier: Apache-2.0
package reverie.spark;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import reverie.autograd.nn.Linear;
import reverie.autograd.nn.Parameters;
import reverie.autograd.optim.GradientAccumulator;
import reverie.diffusion.Denoiser;
import reverie.diffusion.Prediction;
import reverie.diffusion.ReversePolicy;
import reverie.diffusion.SchedulerConfig;
import reverie.rl.Policy;
import reverie.rl.learn.Fleet;
import reverie.rl.learn.FleetProvider.JobSource;
import reverie.rl.learn.FleetProvider.Opened;
import reverie.rl.learn.TrainerSettings;
import reverie.rl.objective.DdpoImportanceSampled;
import reverie.rl.objective.DiffusionNft;
import reverie.rl.objective.Dpok;
import reverie.rl.objective.Prdp;
import reverie.rl.objective.RewardWeightedRegression;
import reverie.rl.objective.RolloutObjective;
import reverie.rl.objective.StepObjective;
import reverie.rl.objective.ValueFunction;
import reverie.rl.prompt.Prompt;
import reverie.rl.reward.Reward;
import reverie.rl.reward.RewardBatch;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Tensor;

/**
 * A conditional denoiser of images of 2 × 3 pixels and what may go wrong with it.
 *
 * @param objective name of the objective
 * @param fault what happens, and when, to the first executor that comes by
 * @param marker a file that is there once the fault has happened; a path as text
 */
record TinyJob(String objective, Fault fault, String marker) implements JobSource {
  static final int SHARDS = 4;
  private static final int PIXELS = 6;

  /** What goes wrong in one executor. */
  enum Fault {
    NONE,
    KILLED_DRAWING,
    KILLED_SCORING,
    KILLED_DIFFERENTIATING,
    REWARD_FAILS_ONCE,
    REWARD_FAILS
  }

  static TinyJob of(String objective) {
    return new TinyJob(objective, Fault.NONE, "");
  }

  static TrainerSettings settings() {
    return TrainerSettings.defaults()
        .with(it -> {
          it.seed(11);
          it.promptsPerEpoch(8);
          it.samplesPerPrompt(3);
          it.samplingBatch(5);
          it.trainingBatch(4);
          it.learningRate(2e-2);
          it.passes(2);
          it.shards(SHARDS);
        });
  }

  @Override
  public Opened open() {
    Parameters parameters = Parameters.random(Device.cpu(), Rng.of(5));
    Denoiser denoiser = denoiser(parameters);
    Parameters frozen = parameters.frozenCopy();
    ReversePolicy process = ReversePolicy.ddim(SchedulerConfig.stableDiffusion(), 5, 1);
    Policy policy =
        new Policy(
            process,
            Prediction.EPSILON,
            denoiser,
            denoiser(frozen),
            parameters,
            this::encode,
            2,
            3,
            1);
    var gradients = new GradientAccumulator(parameters.trainable());
    return new Opened(
        new Fleet.Job(
            policy, made(), Reward.named("brightness", this::score), settings(), gradients),
        () -> {
          gradients.close();
          parameters.close();
          frozen.close();
        });
  }

  private static Denoiser denoiser(Parameters parameters) {
    Linear in = new Linear(parameters.at("in"), PIXELS + 3, 8, true);
    Linear out = new Linear(parameters.at("out"), 8, PIXELS, true);
    return (x, timesteps, context) -> {
      int n = x.dim(0);
      Tensor time = timesteps.mul(1e-3).reshape(n, 1);
      Tensor seen = Ops.concat(1, x.reshape(n, PIXELS), time, context.reshape(n, 2));
      return out.forward(in.forward(seen).silu()).reshape(n, 2, 3, 1).add(x.mul(0.5));
    };
  }

  private Tensor encode(List<Prompt> prompts) {
    happens(Fault.KILLED_DRAWING);
    double[] values = new double[2 * prompts.size()];
    for (int i = 0; i < prompts.size(); i++) {
      int hash = prompts.get(i).text().hashCode();
      values[2 * i] = (hash % 7) / 7.0;
      values[2 * i + 1] = (hash % 5) / 5.0;
    }
    return Device.cpu().tensor(values, prompts.size(), 1, 2);
  }

  private double[] score(RewardBatch batch) {
    happens(Fault.KILLED_SCORING);
    if (happens(Fault.REWARD_FAILS_ONCE) || fault == Fault.REWARD_FAILS) {
      throw new ReverieException("reward brightness: out of order");
    }
    double[] scores = new double[batch.size()];
    for (int i = 0; i < batch.values().length; i++) {
      scores[i / PIXELS] += batch.values()[i] / PIXELS;
    }
    return scores;
  }

  /** What is optimised. */
  RolloutObjective made() {
    Map<String, RolloutObjective> all =
        Map.of(
            "ddpo", new DdpoImportanceSampled(),
            "prdp", new Prdp(),
            "dpok", new Dpok(1e-2, 5, new ValueFunction(4, 1e-2, 2, 8)),
            "rwr", new RewardWeightedRegression(5, true, 2),
            "nft", new DiffusionNft());
    return fault == Fault.KILLED_DIFFERENTIATING
        ? new Killing((StepObjective) all.get(objective), this)
        : all.get(objective);
  }

  /** Kills an executor when a loss is first asked for. */
  private record Killing(StepObjective of, TinyJob job) implements StepObjective {
    @Override
    public String name() {
      return of.name();
    }

    @Override
    public Tensor loss(Tensor logProb, Tensor oldLogProb, Tensor advantage) {
      job.happens(Fault.KILLED_DIFFERENTIATING);
      return of.loss(logProb, oldLogProb, advantage);
    }

    @Override
    public String toString() {
      return of.toString();
    }
  }

  /** Whether it is time for the fault, once in all; kills this process if that is what it is. */
  private boolean happens(Fault now) {
    if (fault != now) {
      return false;
    }
    try {
      Files.createFile(Path.of(marker));
    } catch (FileAlreadyExistsException before) {
      return false;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    if (now != Fault.REWARD_FAILS_ONCE) {
      try {
        String self = Long.toString(ProcessHandle.current().pid());
        new ProcessBuilder("kill", "-9", self).start().waitFor();
        Thread.sleep(60_000);
      } catch (IOException | InterruptedException e) {
        throw new IllegalStateException(e);
      }
    }
    return true;
  }
}
