// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import reverie.autograd.Tape;
import reverie.autograd.nn.Parameter;
import reverie.autograd.optim.GradientAccumulator;
import reverie.diffusion.Denoiser;
import reverie.diffusion.ReversePolicy;
import reverie.diffusion.SchedulerConfig;
import reverie.rl.Policy;
import reverie.rl.objective.ChainObjective;
import reverie.rl.objective.PlackettLuce;
import reverie.rl.objective.Ppod;
import reverie.rl.objective.Prdp;
import reverie.tensor.Device;
import reverie.tensor.Interpreter;
import reverie.tensor.Ops;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.op.Op;

/** The gradient gathered in two passes against that of one graph over all chains, in float64. */
class ChainLearnerTest {
  private static final int GROUP = 3;
  private static final int[] ALL = IntStream.range(0, 2 * GROUP).toArray();
  private static final int[] SECOND = {3, 4, 5};

  private TinyModel model;
  private Policy policy;

  @BeforeEach
  void make() {
    model = new TinyModel(Device.reference());
    policy = model.policy(1, 3);
  }

  @AfterEach
  void close() {
    model.close();
  }

  static List<ChainObjective> objectives() {
    return List.of(
        new Prdp(1e-2, 1e-2, Prdp.Time.MEAN),
        new Prdp(1e-1, 1e-3, Prdp.Time.SUM),
        new Prdp(1, Double.POSITIVE_INFINITY, Prdp.Time.MEAN),
        new Ppod(Ppod.Link.SIGMOID, Ppod.Span.STEP, 2, 1e-2),
        new Ppod(Ppod.Link.HINGE, Ppod.Span.CHAIN, 2, 1e-1),
        new Ppod(Ppod.Link.IPO, Ppod.Span.CHAIN, 2, 1e-1),
        new PlackettLuce(2));
  }

  @ParameterizedTest
  @MethodSource("objectives")
  void twoPassesEqualOneGraph(ChainObjective objective) {
    withRollout(
        policy,
        rollout -> {
          for (int batch : new int[] {1, 4, 6}) {
            for (double klWeight : new double[] {0, 0.3}) {
              TrainerSettings settings = settings(batch, klWeight);
              var diagnostics = new Diagnostics();
              try (var run = new Run(policy, objective, settings, rollout, diagnostics)) {
                assertSame(oneGraph(rollout, objective, klWeight), run.gradient());
                assertEquals(0, diagnostics.firstDeviation(), 1e-12);
                List<Tensor> kept =
                    model.parameters.all().stream().map(p -> p.value().add(0)).toList();
                model.move(0.02);
                assertSame(oneGraph(rollout, objective, klWeight), run.gradient());
                // The second group alone: its rewards, its reference, its old log-probabilities.
                assertSame(oneGraph(rollout, objective, klWeight, SECOND), run.gradient(SECOND));
                assertTrue(diagnostics.largestRatio() > 1.0001);
                restore(kept);
              }
            }
          }
        });
  }

  @Test
  void atTheReferenceNothingIsPreferred() {
    Map<ChainObjective, Double> losses =
        Map.of(
            new Ppod(Ppod.Link.SIGMOID, Ppod.Span.STEP, 2, 1e-2), Math.log(2),
            new Ppod(Ppod.Link.SIGMOID, Ppod.Span.CHAIN, 2, 1e-2), Math.log(2),
            new Ppod(Ppod.Link.HINGE, Ppod.Span.CHAIN, 2, 1e-2), 1.0,
            new Ppod(Ppod.Link.IPO, Ppod.Span.CHAIN, 2, 1e-2), 1.0 / 16,
            new PlackettLuce(2), Math.log(6));
    withRollout(
        policy,
        rollout ->
            losses.forEach((objective, loss) -> {
              var diagnostics = new Diagnostics();
              try (var run = new Run(policy, objective, settings(6, 1), rollout, diagnostics)) {
                run.gradient();
              }
              diagnostics.addUpdate(0);
              assertEquals(loss, diagnostics.loss(), 1e-13, objective::toString);
              assertEquals(0, diagnostics.kl());
              assertEquals(0, diagnostics.clipFraction());
              assertEquals(1, diagnostics.largestRatio());
              assertEquals(0.5, diagnostics.report(0, 1, 6).metrics().get("implicit_accuracy"));
            }));
  }

  @Test
  void whatLeftTheTrustRegionIsCounted() {
    withRollout(
        policy,
        rollout -> {
          var objective = new Prdp(1, 1e-3, Prdp.Time.MEAN);
          var diagnostics = new Diagnostics();
          try (var run = new Run(policy, objective, settings(6, 0), rollout, diagnostics)) {
            run.gradient();
            assertEquals(0, diagnostics.clipFraction());
            model.move(0.02);
            run.gradient();
            assertTrue(diagnostics.clipFraction() > 0.1, "clipped " + diagnostics.clipFraction());
          }
        });
  }

  /** PRDP's lies around the weights that drew, PPOD's around the base. */
  @Test
  void theTrustRegionHasItsOwnMiddle() {
    movedAway();
    withRollout(
        policy,
        rollout -> {
          for (ChainObjective objective :
              List.of(
                  new Prdp(1, 1e-6, Prdp.Time.MEAN),
                  new Ppod(Ppod.Link.SIGMOID, Ppod.Span.STEP, 2, 1e-6))) {
            boolean aroundTheBase = objective instanceof Ppod;
            double clipped = after(objective, 0, rollout).clipFraction();
            assertEquals(aroundTheBase, clipped > 0.5, objective::toString);
          }
        });
  }

  /** The loss that is told is the whole one. */
  @Test
  void theLossCountsTheDistanceToTheBase() {
    movedAway();
    withRollout(
        policy,
        rollout -> {
          double free = after(new PlackettLuce(2), 0, rollout).loss();
          Diagnostics held = after(new PlackettLuce(2), 0.3, rollout);
          assertTrue(held.kl() > 1e-6, () -> "" + held.kl());
          assertEquals(free + 0.3 * held.kl(), held.loss(), 1e-12);
        });
  }

  private void movedAway() {
    try (Scope _ = Scope.open("move")) {
      model.move(0.02);
    }
  }

  private Diagnostics after(ChainObjective objective, double klWeight, Drawn rollout) {
    var diagnostics = new Diagnostics();
    try (var run = new Run(policy, objective, settings(6, klWeight), rollout, diagnostics)) {
      run.gradient();
    }
    diagnostics.addUpdate(0);
    return diagnostics;
  }

  @Test
  void passesLeaveNothingBehind() {
    withRollout(
        policy,
        rollout -> {
          long before = policy.device().liveBytes();
          try (var run = new Run(policy, new Prdp(), settings(4, 0), rollout, new Diagnostics())) {
            run.gradient();
            run.gradient();
          }
          assertEquals(before, policy.device().liveBytes());
        });
  }

  @Test
  void peakMemoryIsTheSameForTenStepsAndForFifty() {
    try (var small = new TinyModel(Device.cpu())) {
      long ten = peakAboveRollout(small, 10);
      assertTrue(ten > 0);
      assertEquals(ten, peakAboveRollout(small, 50));
    }
  }

  /** Most bytes alive above those of the rollout after any operation of two updates. */
  private static long peakAboveRollout(TinyModel model, int steps) {
    Policy policy = model.policy(1, 3);
    Policy longer =
        new Policy(
            ReversePolicy.ddim(SchedulerConfig.stableDiffusion(), steps, 1),
            policy.prediction(),
            policy.denoiser(),
            policy.reference(),
            policy.parameters(),
            policy.encoder(),
            policy.height(),
            policy.width(),
            policy.channels());
    long[] above = {0};
    withRollout(
        longer,
        rollout -> {
          var watch = new Watch(Interpreter.current(), model.device);
          try (var run = new Run(longer, new Prdp(), settings(4, 0), rollout, new Diagnostics())) {
            long before = model.device.liveBytes();
            Interpreter.with(watch, () -> List.of(run.gradient(), run.gradient()));
            above[0] = watch.peak - before;
          }
        });
    return above[0];
  }

  /** Looks at the memory after every operation; nothing is captured under it. */
  private static final class Watch implements Interpreter {
    private final Interpreter next;
    private final Device device;
    private long peak;

    Watch(Interpreter next, Device device) {
      this.next = next;
      this.device = device;
    }

    @Override
    public Tensor[] apply(Device on, Op op, Tensor... inputs) {
      Tensor[] outputs = next.apply(on, op, inputs);
      peak = Math.max(peak, device.liveBytes());
      return outputs;
    }

    @Override
    public void update(Op op, Tensor[] targets, Tensor... inputs) {
      next.update(op, targets, inputs);
      peak = Math.max(peak, device.liveBytes());
    }
  }

  private static TrainerSettings settings(int batch, double klWeight) {
    return TrainerSettings.defaults()
        .with(it -> {
          it.trainingBatch(batch);
          it.samplesPerPrompt(GROUP);
          it.klWeight(klWeight);
        });
  }

  /** A learner in the middle of an epoch. */
  private static final class Run implements AutoCloseable {
    private final Policy policy;
    private final GradientAccumulator sums;
    private final LocalFleet fleet;
    private final ChainLearner learner;

    Run(
        Policy policy,
        ChainObjective objective,
        TrainerSettings settings,
        Drawn rollout,
        Diagnostics diagnostics) {
      this.policy = policy;
      sums = new GradientAccumulator(policy.parameters().trainable());
      fleet = rollout.fleet(objective, settings, sums);
      learner = new ChainLearner(policy, objective, settings, fleet);
      learner.begin(new Learner.Scored(rollout.samples(), rollout.rewards()), diagnostics, _ -> {});
    }

    List<double[]> gradient() {
      return gradient(ALL);
    }

    List<double[]> gradient(int... samples) {
      learner.differentiate(new int[][] {samples}, Rng.of(1));
      List<double[]> gradient = new ArrayList<>();
      try (Scope _ = Scope.open("gradient")) {
        for (Parameter p : policy.parameters().trainable()) {
          gradient.add(sums.gradient(p).toDoubles());
        }
      }
      return gradient;
    }

    @Override
    public void close() {
      learner.close();
      fleet.close();
      sums.close();
    }
  }

  private static void withRollout(Policy drawn, Consumer<Drawn> body) {
    TinyModel.withRollout(drawn, GROUP, body);
  }

  private void restore(List<Tensor> kept) {
    for (int i = 0; i < kept.size(); i++) {
      model.parameters.all().get(i).value().assign(kept.get(i));
    }
  }

  private static void assertSame(List<double[]> expected, List<double[]> actual) {
    for (int i = 0; i < expected.size(); i++) {
      double largest = Arrays.stream(expected.get(i)).map(Math::abs).max().orElse(0);
      assertArrayEquals(expected.get(i), actual.get(i), 1e-11 * Math.max(largest, 1e-3));
    }
  }

  private List<double[]> oneGraph(Drawn rollout, ChainObjective objective, double klWeight) {
    return oneGraph(rollout, objective, klWeight, ALL);
  }

  private List<double[]> oneGraph(
      Drawn rollout, ChainObjective objective, double klWeight, int... samples) {
    Device device = policy.device();
    ReversePolicy process = policy.process();
    int n = samples.length;
    int[] decisions = process.decisions();
    double[] old = new double[n * decisions.length];
    for (int i = 0; i < n; i++) {
      for (int t = 0; t < decisions.length; t++) {
        old[i * decisions.length + t] = rollout.logProb(samples[i], decisions[t]);
      }
    }
    List<Tensor> roots = policy.parameters().trainable().stream().map(Parameter::value).toList();
    Tape.Result result =
        Tape.run(
            roots,
            () -> {
              Tensor[] now = new Tensor[decisions.length];
              Tensor[] base = new Tensor[decisions.length];
              Tensor divergence = device.scalar(0);
              for (int t = 0; t < decisions.length; t++) {
                int[] steps = new int[n];
                Arrays.fill(steps, decisions[t]);
                var moved = step(rollout, policy.denoiser(), samples, steps);
                var kept = step(rollout, policy.reference(), samples, steps);
                now[t] = process.logProb(rollout.after(samples, steps), moved).reshape(n, 1);
                base[t] = process.logProb(rollout.after(samples, steps), kept).reshape(n, 1);
                divergence = divergence.add(process.divergence(moved, kept).sum());
              }
              Tensor loss =
                  objective.loss(
                      Ops.concat(1, now),
                      new ChainObjective.Chains(
                          device.tensor(old, n, decisions.length),
                          Ops.concat(1, base),
                          IntStream.of(samples).mapToDouble(i -> rollout.rewards()[i]).toArray(),
                          IntStream.of(samples).map(i -> i / GROUP).toArray()));
              return loss.add(divergence.mul(klWeight / (n * decisions.length)));
            });
    return roots.stream().map(root -> result.gradient(root).toDoubles()).toList();
  }

  private ReversePolicy.Step step(Drawn rollout, Denoiser denoiser, int[] samples, int... steps) {
    ReversePolicy process = policy.process();
    Tensor before = rollout.before(samples, steps);
    Tensor timesteps = process.timesteps(before, steps);
    return process.step(
        before, denoiser.predict(before, timesteps, rollout.contexts(samples)), steps);
  }
}
