// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import reverie.autograd.Tape;
import reverie.autograd.nn.Parameter;
import reverie.autograd.nn.Parameters;
import reverie.autograd.optim.GradientAccumulator;
import reverie.diffusion.Denoiser;
import reverie.diffusion.DenoisingLoss;
import reverie.diffusion.FlowNoise;
import reverie.diffusion.Guidance;
import reverie.diffusion.Prediction;
import reverie.diffusion.ReversePolicy;
import reverie.diffusion.SchedulerConfig;
import reverie.rl.Policy;
import reverie.rl.advantage.GroupAdvantages;
import reverie.rl.objective.AdvantageWeightedMatching;
import reverie.rl.objective.AdvantageWeightedMatching.Weight;
import reverie.rl.objective.CenteredRewardDistillation;
import reverie.rl.objective.Denoised;
import reverie.rl.objective.DenoisingObjective;
import reverie.rl.objective.DenoisingObjective.Lag;
import reverie.rl.objective.DiffusionNft;
import reverie.rl.objective.DirectGroupPreference;
import reverie.rl.objective.RewardWeightedRegression;
import reverie.rl.prompt.Prompt;
import reverie.rl.prompt.PromptSource;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Tensor;

/** How objectives of the forward process are carried out. */
class ForwardProcessLearnerTest {
  private static final int[] SAMPLES = {4, 5, 0, 1};
  private static final int GROUP = 2;

  static List<DenoisingObjective> objectives() {
    return List.of(
        new DiffusionNft(0.5, true, 5, 0.1, new Lag(1e-3, 0.5), 2),
        new DiffusionNft(0.5, false, 5, 0, Lag.NONE, 6),
        new AdvantageWeightedMatching(
            Weight.GHUBER, 0.25, 0.01, 5, 0.1, 0.5, new Lag(1e-3, 0.3), 2),
        new CenteredRewardDistillation(2, true, 5, 0.1, Lag.NONE, 2),
        new DirectGroupPreference(100, 5, 2));
  }

  /** The gradient gathered in micro-batches against that of one graph, in float64. */
  @ParameterizedTest
  @MethodSource("objectives")
  void equalsTheGradientOfOneGraph(DenoisingObjective objective) {
    try (var model = new TinyModel(Device.reference());
        Parameters first = model.parameters.frozenCopy()) {
      Policy policy = model.policy(0, 3);
      TinyModel.withRollout(
          policy,
          GROUP,
          rollout -> {
            for (int batch : new int[] {1, 3, 6}) {
              var diagnostics = new Diagnostics();
              model.parameters.copyFrom(first);
              try (var sums = new GradientAccumulator(policy.parameters().trainable());
                  var fleet = rollout.fleet(objective, settings(batch), sums);
                  var learner = new DenoisingLearner(policy, objective, settings(batch), fleet)) {
                double[] advantages = {1, -2, .5, .3, 7, -1};
                learner.begin(
                    new Learner.Scored(rollout.samples(), advantages), diagnostics, _ -> {});
                model.move(0.2);
                learner.differentiate(new int[][] {SAMPLES}, Rng.of(1));
                diagnostics.addUpdate(0);
                assertEquals(objective.couples() ? GROUP : 1, learner.groupSize());
                assertEquals(Double.NaN, diagnostics.effectiveSamples());
                double[] loss = new double[1];
                List<double[]> expected =
                    oneGraph(model, policy, first, rollout, objective, advantages, loss);
                assertEquals(loss[0], diagnostics.loss(), 1e-11 * Math.abs(loss[0]));
                for (int i = 0; i < expected.size(); i++) {
                  Parameter parameter = policy.parameters().trainable().get(i);
                  assertArrayEquals(
                      expected.get(i),
                      sums.gradient(parameter).toDoubles(),
                      1e-10,
                      "micro-batches of " + batch);
                }
              }
            }
          });
    }
  }

  private static TrainerSettings settings(int batch) {
    return TrainerSettings.defaults()
        .with(it -> {
          it.trainingBatch(batch);
          it.samplesPerPrompt(GROUP);
        });
  }

  /** Everything at once, sample by sample. */
  private static List<double[]> oneGraph(
      TinyModel model,
      Policy policy,
      Parameters first,
      Drawn rollout,
      DenoisingObjective objective,
      double[] advantages,
      double[] lossOut) {
    Denoiser old = guided(model, first);
    DenoisingLoss denoising =
        new DenoisingLoss(
            policy.process().schedule(), policy.prediction(), Double.POSITIVE_INFINITY);
    double[] grid = policy.process().grid().timesteps();
    List<Tensor> roots = policy.parameters().trainable().stream().map(Parameter::value).toList();
    Tape.Result result =
        Tape.run(
            roots,
            () -> {
              Tensor sum = policy.device().scalar(0);
              for (int draw = 0; draw < objective.draws(); draw++) {
                List<Denoised> all = new ArrayList<>();
                for (int sample : SAMPLES) {
                  int row = objective.couples() ? sample / GROUP : sample;
                  Tensor image = rollout.finished(sample);
                  Rng rng = Rng.of(1);
                  int step = rng.fork(row).permutation(grid.length - 1)[draw % (grid.length - 1)];
                  double[] t = {grid[step]};
                  var q =
                      denoising.noised(
                          image,
                          new DenoisingLoss.NoiseDraw(
                              t, denoising.draw(image, rng.fork(row, draw)).noise()));
                  Tensor context = rollout.contexts(sample);
                  double noise = denoising.schedule().noise(t[0]);
                  double signal = denoising.schedule().signal(t[0]);
                  Tensor before = old.predict(q.x(), q.timesteps(), context).detach();
                  all.add(
                      new Denoised(
                          policy.denoiser().predict(q.x(), q.timesteps(), context),
                          q.target(),
                          before,
                          policy.reference().predict(q.x(), q.timesteps(), context).detach(),
                          before,
                          policy.device().full(noise, 1),
                          policy.device().full(noise / signal, 1),
                          policy.device().full(advantages[sample], 1),
                          null));
                }
                for (int i = 0; i < SAMPLES.length; i++) {
                  sum = sum.add(objective.loss(grouped(objective, all, i)).sum());
                }
              }
              return sum.mul(1.0 / (SAMPLES.length * objective.draws()));
            });
    lossOut[0] = result.loss().item();
    return roots.stream().map(root -> result.gradient(root).toDoubles()).toList();
  }

  private static Denoised grouped(DenoisingObjective objective, List<Denoised> all, int index) {
    Denoised d = all.get(index);
    if (!objective.couples()) {
      return d;
    }
    double mean =
        IntStream.range(0, SAMPLES.length)
            .filter(i -> SAMPLES[i] / GROUP == SAMPLES[index] / GROUP)
            .mapToDouble(i -> objective.coupling(all.get(i)).detach().item())
            .average()
            .orElseThrow();
    return new Denoised(
        d.output(),
        d.target(),
        d.old(),
        d.base(),
        d.anchor(),
        d.noise(),
        d.scale(),
        d.weight(),
        d.output().device().full(mean, 1));
  }

  private static Denoiser guided(TinyModel model, Parameters parameters) {
    return new Guidance(TinyModel.denoiser(parameters), 3, model.encode(List.of(new Prompt(""))));
  }

  static List<Policy> samplers(TinyModel model) {
    Policy ddim = model.policy(0, 1);
    SchedulerConfig flow = SchedulerConfig.flow(1);
    return List.of(
        ddim,
        with(ddim, ReversePolicy.flow(flow, 5, FlowNoise.ODE, 0), flow),
        with(
            ddim,
            ReversePolicy.dpmSolver(
                SchedulerConfig.stableDiffusion().withPrediction(Prediction.V_PREDICTION), 5),
            SchedulerConfig.stableDiffusion().withPrediction(Prediction.V_PREDICTION)));
  }

  private static Policy with(Policy p, ReversePolicy process, SchedulerConfig config) {
    return new Policy(
        process,
        config.prediction(),
        p.denoiser(),
        p.reference(),
        p.parameters(),
        p.encoder(),
        p.height(),
        p.width(),
        p.channels());
  }

  /** A deterministic chain has no likelihood, and none is needed: ε-, v- and flow prediction. */
  @ParameterizedTest
  @MethodSource("objectives")
  void anySamplerDraws(DenoisingObjective objective) {
    try (var model = new TinyModel(Device.cpu())) {
      for (Policy policy : samplers(model)) {
        try (var run = trainer(policy, objective)) {
          run.run(2);
          EpochReport report = run.epoch();
          assertTrue(Double.isFinite(report.loss()) && report.gradientNorm() > 0);
          assertTrue(run.captureFailure().isEmpty(), () -> run.captureFailure().orElseThrow());
        }
      }
    }
  }

  private static Trainer trainer(Policy policy, DenoisingObjective objective) {
    TrainerSettings settings =
        TrainerSettings.defaults()
            .with(it -> {
              it.promptsPerEpoch(2);
              it.samplesPerPrompt(4);
              it.learningRate(1e-2);
            });
    return new Trainer(
        policy,
        objective,
        new GroupAdvantages(),
        PromptSource.of("a", "b", "c"),
        TrainerTest.BRIGHTNESS,
        settings);
  }

  /** The weights that draw and those that pull are part of the state. */
  @ParameterizedTest
  @MethodSource("objectives")
  void resumesToTheSameBits(DenoisingObjective objective, @TempDir Path folder) {
    DenoisingObjective lagging =
        objective instanceof DiffusionNft nft
            ? new DiffusionNft(
                nft.beta(), nft.weighted(), 5, nft.baseWeight(), new Lag(0.1, 0.6), 2)
            : objective;
    Path file = folder.resolve("state.safetensors");
    try (var straight = new TinyModel(Device.cpu());
        var resumed = new TinyModel(Device.cpu())) {
      try (var run = trainer(straight.policy(0, 1), lagging)) {
        run.run(2);
        run.save(file);
        run.run(2);
      }
      try (var run = trainer(resumed.policy(0, 1), lagging)) {
        run.resume(file);
        run.run(2);
      }
      TrainerTest.assertSame(TrainerTest.weights(straight), TrainerTest.weights(resumed));
    }
  }

  @Test
  void whatDoesNotFitIsNamed() {
    try (var model = new TinyModel(Device.reference())) {
      Policy policy = model.policy(0, 1);
      TrainerSettings settings = TrainerSettings.defaults();
      var nft = new DiffusionNft();
      assertMessage("offline", policy, nft, settings.withOffline(true));
      assertMessage("offline", policy, new AdvantageWeightedMatching(), settings.withOffline(true));
      assertMessage("klWeight", policy, nft, settings.withKlWeight(1));
      assertMessage(
          "each prompt gets 1",
          policy,
          new DirectGroupPreference(),
          settings.with(it -> {
            it.samplesPerPrompt(1);
            it.updatesPerEpoch(1);
          }));
      Policy alone =
          new Policy(
              policy.process(),
              policy.prediction(),
              policy.denoiser(),
              null,
              policy.parameters(),
              policy.encoder(),
              2,
              3,
              1);
      assertMessage("no reference", alone, nft, settings);
      new DenoisingLearner(alone, new RewardWeightedRegression(), settings, null).close();
    }
  }

  private static void assertMessage(
      String part, Policy policy, DenoisingObjective objective, TrainerSettings settings) {
    String message =
        assertThrows(
                ReverieException.class,
                () -> new DenoisingLearner(policy, objective, settings, null))
            .getMessage();
    assertTrue(message.contains(part), message);
  }
}
