// SPDX-License-Identifier: Apache-2.0
package reverie.examples;

import java.io.IOException;
import java.lang.invoke.MethodHandles;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.stream.IntStream;
import reverie.autograd.nn.Linear;
import reverie.autograd.nn.Parameters;
import reverie.autograd.nn.TimestepEmbedding;
import reverie.autograd.optim.AdamW;
import reverie.autograd.optim.BackwardPass;
import reverie.autograd.optim.TrainingStep;
import reverie.diffusion.Denoiser;
import reverie.diffusion.DenoisingLoss;
import reverie.diffusion.Prediction;
import reverie.diffusion.ReversePolicy;
import reverie.diffusion.Sampler;
import reverie.diffusion.SchedulerConfig;
import reverie.rl.ContextEncoder;
import reverie.rl.Policy;
import reverie.rl.advantage.GroupAdvantages;
import reverie.rl.learn.Trainer;
import reverie.rl.learn.TrainerSettings;
import reverie.rl.objective.DdpoImportanceSampled;
import reverie.rl.objective.Grpo;
import reverie.rl.objective.RewardWeightedRegression;
import reverie.rl.objective.RolloutObjective;
import reverie.rl.prompt.PromptSource;
import reverie.rl.reward.Reward;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * A diffusion model of points in the plane, trained on five Gaussians on a circle and tuned by
 * three objectives to draw points on the right. Writes what each draws to {@code mixture.svg}.
 */
public final class Mixture {
  private static final int POINTS = 400;
  private static final SchedulerConfig SCHEDULER = SchedulerConfig.stableDiffusion();
  private static final ReversePolicy PROCESS = ReversePolicy.ddim(SCHEDULER, 20, 1);

  /** How far to the right a point lies, as seen from the middle: −1 to 1. */
  private static final Reward RIGHT =
      Reward.named(
          "right",
          batch ->
              IntStream.range(0, batch.size())
                  .mapToDouble(i -> {
                    double x = 2 * batch.values()[2 * i] - 1; // values are in [0, 1]
                    double y = 2 * batch.values()[2 * i + 1] - 1;
                    return x / Math.hypot(x, y);
                  })
                  .toArray());

  private Mixture() {}

  /** A sample is an image of one row, two pixels and one channel: x and y. */
  private static Denoiser model(Parameters weights) {
    int width = 128;
    var time = new TimestepEmbedding(weights.at("time"), 32, width, true, 0, Tensor::silu);
    var in = new Linear(weights.at("in"), 2, width, true);
    var first = new Linear(weights.at("first"), width, width, true);
    var second = new Linear(weights.at("second"), width, width, true);
    var out = new Linear(weights.at("out"), width, 2, true);
    return (x, timesteps, _) -> {
      Tensor h = in.forward(x.reshape(x.dim(0), 2)).add(time.forward(timesteps));
      h = h.add(first.forward(h.silu()));
      h = h.add(second.forward(h.silu()));
      return out.forward(h.silu()).reshape(x.shape().dims());
    };
  }

  private record Batch(Tensor x, Tensor timesteps, Tensor target) {}

  private static void pretrain(Denoiser model, Parameters weights, int steps) {
    Device device = weights.device();
    DenoisingLoss loss = DenoisingLoss.of(SCHEDULER);
    try (var step =
            new TrainingStep(
                weights, new TrainingStep.Settings(AdamW.Options.weightDecay(0), 1, 0));
        var pass =
            BackwardPass.of(
                MethodHandles.lookup(),
                device,
                step.gradients(),
                (Batch b) -> model.predict(b.x, b.timesteps, null).sub(b.target).square().sum())) {
      for (int i = 0; i < steps; i++) {
        try (Scope _ = Scope.open("pretraining")) {
          Rng[] rows = rows(i, 128);
          var drawn = loss.noised(data(device, rows), loss.draw(data(device, rows), rows));
          step.begin();
          pass.add(new Batch(drawn.x(), drawn.timesteps(), drawn.target()));
          step.update(3e-3 * (1 - (double) i / steps));
        }
      }
    }
  }

  private static Tensor data(Device device, Rng[] rows) {
    double[] angles =
        IntStream.range(0, rows.length)
            .mapToDouble(i -> Math.PI * 2 / 5 * rows[i].fork("mode").below(0, 5))
            .toArray();
    double[] centres = new double[2 * rows.length];
    for (int i = 0; i < rows.length; i++) {
      centres[2 * i] = 0.7 * Math.cos(angles[i]);
      centres[2 * i + 1] = 0.7 * Math.sin(angles[i]);
    }
    Rng[] spread = Arrays.stream(rows).map(row -> row.fork("spread")).toArray(Rng[]::new);
    return Rng.normalRows(device, spread, 1, 2, 1)
        .mul(0.06)
        .add(device.tensor(centres, rows.length, 1, 2, 1));
  }

  private static Rng[] rows(long batch, int count) {
    return IntStream.range(0, count).mapToObj(i -> Sampler.row(1, batch, i)).toArray(Rng[]::new);
  }

  /** Fine-tunes a copy of the base model and draws points from it. */
  private static double[] tuned(
      Parameters base, RolloutObjective objective, int epochs, double rate, double kl) {
    var settings =
        TrainerSettings.defaults()
            .with(it ->
                it.promptsPerEpoch(1)
                    .samplesPerPrompt(128)
                    .samplingBatch(128)
                    .trainingBatch(512)
                    .learningRate(rate)
                    .klWeight(kl));
    try (Parameters weights = base.copy();
        Parameters frozen = base.frozenCopy()) {
      Denoiser model = model(weights);
      var policy =
          new Policy(
              PROCESS,
              Prediction.EPSILON,
              model,
              model(frozen),
              weights,
              ContextEncoder.NONE,
              1,
              2,
              1);
      try (var trainer =
          new Trainer(
              policy,
              objective,
              new GroupAdvantages(),
              PromptSource.of("a point"),
              RIGHT,
              settings)) {
        trainer.run(epochs);
      }
      return draw(model, weights.device());
    }
  }

  private static double[] draw(Denoiser model, Device device) {
    try (Scope _ = Scope.open("drawing")) {
      return new Sampler(PROCESS, device)
          .sample(model, null, rows(-1, POINTS), 1, 2, 1)
          .toDoubles();
    }
  }

  private static double meanReward(double[] points) {
    return IntStream.range(0, points.length / 2)
        .mapToDouble(i -> points[2 * i] / Math.hypot(points[2 * i], points[2 * i + 1]))
        .average()
        .orElseThrow();
  }

  private static String svg(Map<String, double[]> drawn) {
    var svg = new StringBuilder("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 ");
    svg.append(200 * drawn.size()).append(" 225\" font-family=\"sans-serif\" font-size=\"13\">\n");
    svg.append("<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n");
    int left = 0;
    for (var entry : drawn.entrySet()) {
      double[] points = entry.getValue();
      String title = String.format(Locale.ROOT, "%s: %.2f", entry.getKey(), meanReward(points));
      svg.append(
          "<text x=\""
              + (left + 100)
              + "\" y=\"18\" text-anchor=\"middle\">"
              + title
              + "</text>\n");
      for (int i = 0; i < POINTS; i++) {
        double x = left + 100 + 90 * points[2 * i];
        double y = 125 - 90 * points[2 * i + 1];
        svg.append(
            String.format(
                Locale.ROOT,
                "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"1.5\" fill=\"#2a6fb0\" opacity=\"0.6\"/>%n",
                x,
                y));
      }
      left += 200;
    }
    return svg.append("</svg>\n").toString();
  }

  /** Writes {@code mixture.svg} into the folder given, or the current one. */
  public static void main(String... arguments) throws IOException {
    Path file = Path.of(arguments.length > 0 ? arguments[0] : ".", "mixture.svg");
    Map<String, double[]> drawn = new LinkedHashMap<>();
    try (Parameters base = Parameters.random(Device.cpu(), Rng.of(1))) {
      Denoiser model = model(base);
      pretrain(model, base, 2500);
      drawn.put("base model", draw(model, base.device()));
      drawn.put("DDPO", tuned(base, new DdpoImportanceSampled(0.1, 5), 20, 3e-4, 0));
      drawn.put("GRPO with KL", tuned(base, new Grpo(0.1, 5), 20, 3e-4, 0.2));
      drawn.put(
          "reward-weighted", tuned(base, new RewardWeightedRegression(2, true, 8), 20, 3e-4, 0));
    }
    drawn.forEach((name, points) ->
        System.out.printf(Locale.ROOT, "%-16s mean reward %5.2f%n", name, meanReward(points)));
    Files.writeString(file, svg(drawn));
  }
}
