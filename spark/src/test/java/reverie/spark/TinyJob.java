// SPDX-License-Identifier: Apache-2.0
package reverie.spark;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.spark.SparkEnv;
import reverie.autograd.nn.Linear;
import reverie.autograd.nn.Lora;
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
 * @param objective name of the objective; followed by "adapters" these are trained
 * @param faults what happens, and when, to the first executor that comes by
 * @param marks folder of a file for each fault that has happened, and for each process that has
 *     opened this; a path as text, empty for none
 */
record TinyJob(String objective, Set<Fault> faults, String marks) implements JobSource {
  static final int SHARDS = 4;
  private static final String ADAPTERS = " adapters";
  private static final int PIXELS = 6;

  /** Nothing is learnt from images of this prompt. */
  static final Prompt MEASURED = new Prompt("a fox");

  /** What goes wrong in one executor. */
  enum Fault {
    KILLED_DRAWING,
    KILLED_SCORING,
    KILLED_DIFFERENTIATING,
    KILLED_EVALUATING,
    DISK_FULL,
    REWARD_FAILS_ONCE,
    REWARD_FAILS
  }

  static TinyJob of(String objective) {
    return new TinyJob(objective, Set.of(), "");
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

  /** Models and programs of rewards are expensive: a process that opens a second time fails. */
  @Override
  public Opened open() {
    if (!marks.isEmpty() && !mark("opened by " + ProcessHandle.current().pid())) {
      throw new IllegalStateException("this process has opened the job before");
    }
    Parameters parameters = Parameters.random(Device.cpu(), Rng.of(5));
    Denoiser denoiser = denoiser(parameters);
    Parameters frozen = parameters.frozenCopy();
    Denoiser reference = denoiser(frozen);
    Lora lora =
        objective.endsWith(ADAPTERS)
            ? new Lora(parameters, new Lora.Size(2, 4), _ -> true, Rng.of(6))
            : null;
    Parameters trained = lora == null ? parameters : lora.parameters();
    ReversePolicy process = ReversePolicy.ddim(SchedulerConfig.stableDiffusion(), 5, 1);
    Policy policy =
        new Policy(
            process, Prediction.EPSILON, denoiser, reference, trained, this::encode, 2, 3, 1);
    var gradients = new GradientAccumulator(trained.trainable());
    return new Opened(
        new Fleet.Job(
            policy, made(), Reward.named("brightness", this::score), settings(), gradients),
        () -> {
          gradients.close();
          if (lora != null) {
            lora.close();
          }
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
    happens(prompts.contains(MEASURED) ? Fault.KILLED_EVALUATING : Fault.KILLED_DRAWING);
    happens(Fault.DISK_FULL);
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
    if (happens(Fault.REWARD_FAILS_ONCE) || faults.contains(Fault.REWARD_FAILS)) {
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
    RolloutObjective chosen = all.get(objective.replace(ADAPTERS, ""));
    return faults.contains(Fault.KILLED_DIFFERENTIATING)
        ? new Killing((StepObjective) chosen, this)
        : chosen;
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
    if (!faults.contains(now) || !mark(now.name())) {
      return false;
    }
    if (now == Fault.DISK_FULL) {
      fillDisk();
    } else if (now != Fault.REWARD_FAILS_ONCE) {
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

  /** Nothing can be written any more to where Spark keeps what memory does not hold. */
  private static void fillDisk() {
    for (File folder : SparkEnv.get().blockManager().diskBlockManager().localDirs()) {
      try {
        Files.move(folder.toPath(), Path.of(folder + " before"));
        Files.createFile(folder.toPath());
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  /** Whether this file was not there before; it then tells the process. */
  private boolean mark(String name) {
    try {
      Files.writeString(
          Path.of(marks, name),
          Long.toString(ProcessHandle.current().pid()),
          StandardOpenOption.CREATE_NEW);
      return true;
    } catch (FileAlreadyExistsException before) {
      return false;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
