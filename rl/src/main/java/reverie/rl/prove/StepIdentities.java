// SPDX-License-Identifier: Apache-2.0
package reverie.rl.prove;

import java.util.stream.IntStream;
import reverie.rl.advantage.RawAdvantages;
import reverie.rl.learn.EpochReport;
import reverie.rl.learn.Trainer;
import reverie.rl.learn.TrainerSettings;
import reverie.rl.objective.DdpoImportanceSampled;
import reverie.rl.prompt.PromptSource;
import reverie.tensor.Device;

/** What must hold before the first update, on one epoch with a single update. */
final class StepIdentities {
  private static final double[] SOME = {.1, -.1, .05, 0, -.05, .1, .1, -.1, .005, -.002};
  private static final double[] NONE = new double[SOME.length];
  private static final double ROUNDING = 1e-12;

  private StepIdentities() {}

  private record Run(EpochReport report, double[] biases) {}

  private static Run run(double clipRange, double klWeight, double... biases) {
    TrainerSettings settings =
        TrainerSettings.defaults()
            .with(it -> {
              it.promptsPerEpoch(1);
              it.samplesPerPrompt(64);
              it.updatesPerEpoch(1);
              it.klWeight(klWeight);
              it.ratioTolerance(1);
            });
    var objective = new DdpoImportanceSampled(clipRange, 1e9);
    try (var gaussian = new GaussianPolicy(Device.reference())) {
      gaussian.bias(biases);
      try (Trainer trainer =
          new Trainer(
              gaussian.policy(),
              objective,
              new RawAdvantages(),
              PromptSource.of("x"),
              GaussianPolicy.SAMPLE,
              settings)) {
        EpochReport report = trainer.epoch();
        return new Run(report, gaussian.biases().value().toDoubles());
      }
    }
  }

  /** Scoring a sample again by the weights that drew it gives the same likelihood. */
  record RatioOfOne() implements Proof {
    @Override
    public String name() {
      return "the ratio is 1 before the first update";
    }

    @Override
    public Result run() {
      EpochReport report = StepIdentities.run(1e-4, 0, SOME).report;
      double reached = report.largestRatio();
      return new Result("ddpo_is", reached, 1, report.ratioDeviation(), 0);
    }
  }

  /** A model that was not trained yet is where the reference is. */
  record NoDivergence() implements Proof {
    @Override
    public String name() {
      return "the KL is 0 at the reference";
    }

    @Override
    public Result run() {
      return Result.of("ddpo_is", StepIdentities.run(1e-4, 1, NONE).report.klToBase(), 0, 0);
    }
  }

  /** With a single update per rollout a trust region of any width gives the same weights. */
  record InertClipping() implements Proof {
    @Override
    public String name() {
      return "K = 1: clipping changes nothing";
    }

    @Override
    public Result run() {
      double[] clipped = StepIdentities.run(1e-9, 0, SOME).biases;
      double[] free = StepIdentities.run(1e9, 0, SOME).biases;
      double error =
          IntStream.range(0, free.length)
              .mapToDouble(i -> Math.abs(clipped[i] - free[i]))
              .max()
              .orElseThrow();
      return new Result("ddpo_is", clipped[0], free[0], error, ROUNDING);
    }
  }
}
