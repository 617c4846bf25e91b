// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import java.util.Arrays;
import java.util.Locale;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import reverie.diffusion.ChainPosition.Factor;
import reverie.tensor.DType;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Tensor;

/**
 * The reverse process as a policy (Black et al. 2023, §4.2): from the state {@code (x_t, t)} the
 * action is {@code x_t' ~ N(mean, σ²)}, where the mean comes from the model's output by the DDIM
 * step of noise level η (Song et al. 2021, eq. 12), of which DDPM is the case η = 1 on the full
 * grid, or by a step of a {@linkplain FlowNoise flow}.
 *
 * <p>Where chance enters can be narrowed by {@link #deciding}: every other step is one of the
 * ordinary differential equation, of first order or, by {@link #secondOrder}, of second.
 *
 * <p>Steps are numbered 0 (the noisiest) to {@link #steps()} − 1; a batch may mix samples at
 * different steps. Everything between the model's output and the log-probability is made of tensor
 * operations, so a tape differentiates through it.
 *
 * <p>What it promises:
 *
 * <ul>
 *   <li>A step with σ = 0 is no decision: {@link #isDecision} is false, it has no log-probability,
 *       and asking for one is an error. A chain without any decision (η = 0) cannot be trained by
 *       likelihood; {@link #requireDecisions} says so.
 *   <li>The next latent is rounded to the type in which it is stored before anyone scores it, so
 *       that re-scoring it with the same weights gives the same number.
 *   <li>No result is NaN or infinite unless the model's output is.
 * </ul>
 *
 * <p>Immutable; thread-safe.
 */
public final class ReversePolicy {
  /** Below so many, diffusers' solver makes the last step to first order. */
  private static final int FEW_STEPS = 15;

  private final String name;
  private final NoiseSchedule schedule;
  private final TimestepGrid grid;
  private final Steps steps;
  private final StepCoefficients[] coefficients;
  private final double eta;
  private final double clipRange;
  private final Reduction reduction;
  private final DType storage;

  /**
   * The ways in which each step can be made.
   *
   * @param chance with the policy's noise
   * @param first by the differential equation, to first order
   * @param second the same to second order, where the step before was made by it too
   * @param secondOrder whether that is wanted
   */
  private record Steps(
      StepCoefficients[] chance,
      StepCoefficients[] first,
      StepCoefficients[] second,
      boolean secondOrder) {
    /** All ways of all steps. */
    Stream<StepCoefficients> all() {
      Stream<StepCoefficients> euler = Stream.concat(Arrays.stream(chance), Arrays.stream(first));
      return secondOrder ? Stream.concat(euler, Arrays.stream(second)) : euler;
    }

    /** One way for each step. */
    StepCoefficients[] where(IntPredicate decides) {
      return IntStream.range(0, chance.length)
          .mapToObj(i -> {
            if (decides.test(i)) {
              return chance[i];
            }
            return secondOrder && i > 0 && !decides.test(i - 1) ? second[i] : first[i];
          })
          .toArray(StepCoefficients[]::new);
    }
  }

  /** How the log-densities of a sample's elements become one number. */
  public enum Reduction {
    /**
     * Their mean: the trust regions of the literature are made for it. A ratio of it is the D-th
     * root of the ratio of likelihoods, D being the number of elements of a sample.
     */
    MEAN,
    /** Their sum: the true log-likelihood, D times the mean. */
    SUM
  }

  /**
   * The action's distribution at one step of each sample.
   *
   * @param mean like x_t
   * @param sigma {@code [n]}
   * @param steps the step of each sample; none if they are not known, see {@link ChainPosition}
   */
  public record Step(Tensor mean, Tensor sigma, int[] steps) {}

  private ReversePolicy(
      String name,
      NoiseSchedule schedule,
      TimestepGrid grid,
      Steps steps,
      StepCoefficients[] coefficients,
      double eta,
      double clipRange,
      Reduction reduction,
      DType storage) {
    this.name = name;
    this.schedule = schedule;
    this.grid = grid;
    this.steps = steps;
    this.coefficients = coefficients;
    this.eta = eta;
    this.clipRange = clipRange;
    this.reduction = reduction;
    this.storage = storage;
  }

  /**
   * DDIM with noise level η on {@code steps} timesteps.
   *
   * @param eta 0 is deterministic, 1 has the variance of DDPM
   * @throws ReverieException if there are more steps than timesteps, or the schedule leaves no room
   *     for η &gt; 1, or the model is a flow
   */
  public static ReversePolicy ddim(SchedulerConfig config, int steps, double eta) {
    return ddim(config, config.schedule(), steps, eta);
  }

  /** DDIM on a schedule and grid of one's own, that of {@code config} left aside. */
  static ReversePolicy ddim(SchedulerConfig config, NoiseSchedule schedule, int steps, double eta) {
    return diffusion(config, schedule, StepCoefficients.Rule.DDIM, config.endsClean(), steps, eta);
  }

  /**
   * Ancestral sampling of DDPM: η = 1, ending at ᾱ = 1. The same as {@link #ddim} but where x̂0 is
   * clipped: here ε̂ follows the clipped x̂0, as in the posterior mean. The variance is that of the
   * posterior, or with the file's {@code variance_type: fixed_large} that of the forward step.
   */
  public static ReversePolicy ddpm(SchedulerConfig config, int steps) {
    NoiseSchedule schedule = config.schedule();
    ReversePolicy small = diffusion(config, schedule, StepCoefficients.Rule.DDPM, true, steps, 1);
    if (!config.hasLargeVariance()) {
      return small;
    }
    StepCoefficients[] large = small.steps.chance.clone();
    for (int i = 0; i < large.length; i++) {
      int t = (int) small.grid.timestep(i);
      double kept = i + 1 < large.length ? schedule.alphaBar((int) small.grid.next(i)) : 1;
      // Nothing is added at timestep 0.
      large[i] = large[i].withSigma(t == 0 ? 0 : Math.sqrt(1 - schedule.alphaBar(t) / kept));
    }
    return small.with(new Steps(large, small.steps.first, small.steps.second, false), _ -> true);
  }

  private static ReversePolicy diffusion(
      SchedulerConfig config,
      NoiseSchedule schedule,
      StepCoefficients.Rule rule,
      boolean endsClean,
      int steps,
      double eta) {
    requireLevel("eta", eta);
    if (schedule.isFlow()) {
      throw new ReverieException(
          "reverse policy: the model is a flow, which DDIM and DDPM do not sample",
          "use ReversePolicy.flow");
    }
    TimestepGrid grid = config.grid(steps);
    StepCoefficients[] chance = new StepCoefficients[steps];
    StepCoefficients[] first = new StepCoefficients[steps];
    for (int i = 0; i < steps; i++) {
      int t = (int) grid.timestep(i);
      int next = (int) grid.next(i);
      Prediction prediction = config.prediction();
      chance[i] = StepCoefficients.of(schedule, prediction, rule, t, next, endsClean, eta);
      first[i] = StepCoefficients.of(schedule, prediction, rule, t, next, endsClean, 0);
    }
    return made(
        rule.name().toLowerCase(Locale.ROOT),
        config,
        schedule,
        grid,
        new Steps(chance, first, solver(config, schedule, grid), false),
        eta,
        _ -> true);
  }

  /**
   * The steps of a flow, all decisions but for the last, which ends at σ = 0; {@link #deciding}
   * chooses others.
   *
   * @param level of the noise, see {@link FlowNoise}; no matter for {@link FlowNoise#ODE}
   * @throws ReverieException if the configuration is no flow's
   */
  public static ReversePolicy flow(
      SchedulerConfig config, int steps, FlowNoise noise, double level) {
    requireLevel("level", level);
    if (noise == FlowNoise.CPS && level > 1) {
      throw new ReverieException(
          "reverse policy: expected a level from 0 to 1 for CPS, got " + level);
    }
    NoiseSchedule schedule = config.schedule();
    if (!schedule.isFlow()) {
      throw new ReverieException(
          "reverse policy: expected a flow, got a model that predicts " + config.prediction().key(),
          "use ReversePolicy.ddim");
    }
    TimestepGrid grid = config.grid(steps);
    StepCoefficients[] chance = new StepCoefficients[steps];
    StepCoefficients[] first = new StepCoefficients[steps];
    for (int i = 0; i < steps; i++) {
      double sigma = schedule.noise(grid.timestep(i));
      double next = i + 1 < steps ? schedule.noise(grid.timestep(i + 1)) : 0;
      chance[i] = StepCoefficients.flow(noise, level, sigma, next, sigma == 1 ? next : sigma);
      first[i] = StepCoefficients.flow(FlowNoise.ODE, 0, sigma, next, sigma);
    }
    return made(
        noise.name().toLowerCase(Locale.ROOT),
        config,
        schedule,
        grid,
        new Steps(chance, first, solver(config, schedule, grid), false),
        noise == FlowNoise.ODE ? 0 : level,
        i -> i + 1 < steps);
  }

  /**
   * The deterministic chain of DPM-Solver++ of second order (2M, midpoint) on the timesteps of
   * diffusers' DPMSolverMultistepScheduler: for sampling and evaluation. It has no decisions.
   */
  public static ReversePolicy dpmSolver(SchedulerConfig config, int steps) {
    NoiseSchedule schedule = config.schedule();
    TimestepGrid grid = config.solverGrid(steps);
    StepCoefficients[] second = solver(config, schedule, grid);
    StepCoefficients[] first =
        Arrays.stream(second).map(StepCoefficients::firstOrder).toArray(StepCoefficients[]::new);
    return made(
        "dpm_solver", config, schedule, grid, new Steps(first, first, second, true), 0, _ -> false);
  }

  private static StepCoefficients[] solver(
      SchedulerConfig config, NoiseSchedule schedule, TimestepGrid grid) {
    int steps = grid.steps();
    return IntStream.range(0, steps)
        .mapToObj(i ->
            StepCoefficients.solver(
                schedule,
                config.prediction(),
                i == 0 ? -1 : grid.timestep(i - 1),
                grid.timestep(i),
                grid.next(i),
                config.endsClean(),
                steps < FEW_STEPS))
        .toArray(StepCoefficients[]::new);
  }

  private static ReversePolicy made(
      String name,
      SchedulerConfig config,
      NoiseSchedule schedule,
      TimestepGrid grid,
      Steps steps,
      double eta,
      IntPredicate decides) {
    double clipRange = config.clipSample() ? config.clipSampleRange() : Double.POSITIVE_INFINITY;
    return new ReversePolicy(
        name,
        schedule,
        grid,
        steps,
        steps.where(decides),
        eta,
        clipRange,
        Reduction.MEAN,
        DType.F64);
  }

  private static void requireLevel(String name, double level) {
    if (!(level >= 0 && Double.isFinite(level))) {
      throw new ReverieException(
          "reverse policy: expected " + name + " of 0 or more, got " + level,
          "usual values are 0 to 1");
    }
  }

  private ReversePolicy with(Steps other, IntPredicate decides) {
    return new ReversePolicy(
        name, schedule, grid, other, other.where(decides), eta, clipRange, reduction, storage);
  }

  /**
   * The same chain with chance in some steps only; the others follow the differential equation. See
   * {@link DecisionWindow}.
   *
   * @param decides whether a step has the policy's noise; it is a decision if that is more than 0
   */
  public ReversePolicy deciding(IntPredicate decides) {
    return with(steps, decides);
  }

  /**
   * The same chain, whose steps without chance are made to second order: by DPM-Solver++ 2M, which
   * begins anew after every step with chance.
   */
  public ReversePolicy secondOrder() {
    return with(new Steps(steps.chance, steps.first, steps.second, true), this::isDecision);
  }

  /** Whether a step looks at the x̂0 of the step before. */
  public boolean isSecondOrder() {
    return Arrays.stream(coefficients).anyMatch(step -> step.correction() != 0);
  }

  /** The same policy with log-probabilities reduced like this; the mean by default. */
  public ReversePolicy reducedBy(Reduction other) {
    return new ReversePolicy(
        name, schedule, grid, steps, coefficients, eta, clipRange, other, storage);
  }

  /**
   * The same policy with latents stored in this type: they are rounded to it before they are
   * scored.
   */
  public ReversePolicy storedAs(DType other) {
    return new ReversePolicy(
        name, schedule, grid, steps, coefficients, eta, clipRange, reduction, other);
  }

  // The chain.

  /**
   * The rule of the steps in a few words, which tells two chains on the same timesteps apart:
   * {@code ddim, eta 1.0}.
   */
  public String rule() {
    return name + ", eta " + eta + (steps.secondOrder ? ", second order" : "");
  }

  /** Number of steps of the chain. */
  public int steps() {
    return coefficients.length;
  }

  /** The timesteps of the chain. */
  public TimestepGrid grid() {
    return grid;
  }

  /** The timestep at which a step begins, as the model gets it. */
  public double timestep(int step) {
    return grid.timestep(step);
  }

  /** The address of a step's noise among the random numbers of a sample. */
  int noiseAddress(int step) {
    return schedule.isFlow() ? step : (int) grid.timestep(step);
  }

  /** The forward process that the chain reverses. */
  public NoiseSchedule schedule() {
    return schedule;
  }

  /** The noise level: η, or that of a flow's noise. */
  public double eta() {
    return eta;
  }

  /** Whether x̂0 is clipped, so that the mean is not linear in the model's output. */
  public boolean clips() {
    return !Double.isInfinite(clipRange);
  }

  /** How log-probabilities are reduced. */
  public Reduction reduction() {
    return reduction;
  }

  /** Standard deviation of the action at a step. */
  public double sigma(int step) {
    return coefficients[step].sigma();
  }

  /** Whether chance has a say in this step: σ &gt; 0. */
  public boolean isDecision(int step) {
    return sigma(step) > 0;
  }

  /** The steps with σ &gt; 0, in order: those that have a log-probability and can be trained. */
  public int[] decisions() {
    return IntStream.range(0, steps()).filter(this::isDecision).toArray();
  }

  /**
   * The steps that can be trained, at least one.
   *
   * @param who what needs them, for the error
   * @throws ReverieException if every σ is 0, naming η
   */
  public int[] requireDecisions(String who) {
    int[] decisions = decisions();
    if (decisions.length == 0) {
      throw new ReverieException(
          who
              + ": eta "
              + eta
              + " on "
              + steps()
              + " steps leaves nothing to chance (every sigma is 0), so actions have"
              + " no likelihood to train by",
          "set eta above 0, 1 for instance");
    }
    return decisions;
  }

  /** The factor of x_t in the mean of a step; exact where x̂0 is not clipped. */
  public double stateFactor(int step) {
    return coefficients[step].x();
  }

  /** The factor of the model's output in the mean of a step; exact where x̂0 is not clipped. */
  public double outputFactor(int step) {
    return coefficients[step].output();
  }

  // One step.

  /**
   * The timesteps of these steps as a model wants them: {@code [n]} beside {@code x}.
   *
   * @param steps one for each sample of x, or one for all
   */
  public Tensor timesteps(Tensor x, int... steps) {
    return position(x, steps).timesteps();
  }

  /**
   * The numbers of these steps for a batch.
   *
   * @param steps one for each sample of x, or one for all
   */
  public ChainPosition position(Tensor x, int... steps) {
    return ChainPosition.of(
        x.device(), grid, coefficients, Rows.perSample("reverse policy", x, steps));
  }

  /**
   * The distribution of the next latent.
   *
   * @param x {@code [n, …]} latents before the step
   * @param output what the model said of them
   * @param steps one for each sample, or one for all
   */
  public Step step(Tensor x, Tensor output, int... steps) {
    return step(x, output, position(x, steps));
  }

  /** The distribution of the next latent, from numbers that are on the device already. */
  public Step step(Tensor x, Tensor output, ChainPosition at) {
    Tensor mean;
    if (!clips()) {
      mean = at.times(x, Factor.X).add(at.times(output, Factor.OUTPUT));
    } else {
      mean = at.times(originalSample(x, output, at), Factor.CLEAN);
      if (uses(Factor.DIRECT)) {
        mean = mean.add(at.times(x, Factor.DIRECT));
      }
      if (uses(Factor.DIRECT_OUTPUT)) {
        mean = mean.add(at.times(output, Factor.DIRECT_OUTPUT));
      }
    }
    return new Step(mean, at.sigma(), at.steps());
  }

  /**
   * What a step of second order adds to the mean.
   *
   * @param original x̂0 of this step
   * @param before x̂0 of the step before; not looked at where there is no correction
   */
  Tensor corrected(Tensor mean, Tensor original, Tensor before, ChainPosition at) {
    return mean.add(at.times(original.sub(before), Factor.CORRECTION));
  }

  /** Whether a factor is other than 0 anywhere, wherever chance may be left in. */
  private boolean uses(Factor factor) {
    return steps.all().anyMatch(step -> factor.of(step) != 0);
  }

  /**
   * The clean sample that the model believes in, x̂0, clipped where the scheduler says so.
   *
   * @param steps one for each sample, or one for all
   */
  public Tensor originalSample(Tensor x, Tensor output, int... steps) {
    return originalSample(x, output, position(x, steps));
  }

  Tensor originalSample(Tensor x, Tensor output, ChainPosition at) {
    Tensor original = at.times(x, Factor.ORIGINAL).add(at.times(output, Factor.ORIGINAL_OUTPUT));
    return clips() ? original.clamp(-clipRange, clipRange) : original;
  }

  /**
   * Draws the next latents, as they are stored.
   *
   * @param rows the random numbers of each sample for this very step; not looked at where σ = 0 for
   *     all
   */
  public Tensor sample(Step step, Rng... rows) {
    Tensor mean = step.mean();
    if (Arrays.stream(step.steps()).noneMatch(this::isDecision)) {
      return stored(mean);
    }
    int[] dims = mean.shape().dims();
    return sample(
        step, Rng.normalRows(mean.device(), rows, Arrays.copyOfRange(dims, 1, dims.length)));
  }

  /**
   * The next latents that this noise makes, as they are stored.
   *
   * @param noise standard normal, like the mean
   */
  public Tensor sample(Step step, Tensor noise) {
    return stored(step.mean().add(noise.mul(Rows.column(noise, step.sigma()))));
  }

  /** Latents rounded to the type in which they are stored. */
  public Tensor stored(Tensor x) {
    return storage.bytes() < x.dtype().bytes() ? x.roundTo(storage) : x;
  }

  /**
   * Log-probability of the actions: {@code [n]}.
   *
   * @param next the latents that were drawn, as they are stored
   * @throws ReverieException if a step with σ = 0 is among them
   */
  public Tensor logProb(Tensor next, Step step) {
    requireDecisions("log-probability", step);
    Tensor mean = Ops.gaussianLogProb(next, step.mean(), step.sigma());
    return reduced(mean, next);
  }

  /**
   * Exact divergence {@code KL(N(mean, σ²) ‖ N(reference, σ²)) = ‖mean − reference‖²/(2σ²)} of each
   * sample's step: {@code [n]}, over the elements reduced like the log-probability.
   *
   * @throws ReverieException if a step with σ = 0 is among them
   */
  public Tensor divergence(Step step, Step reference) {
    requireDecisions("divergence", step);
    Tensor gap = step.mean().sub(reference.mean()).square();
    int n = gap.dim(0);
    Tensor mean = gap.reshape(n, Math.toIntExact(gap.size() / n)).mean(1);
    return reduced(mean.mul(step.sigma().square().reciprocal()).mul(0.5), gap);
  }

  private Tensor reduced(Tensor mean, Tensor samples) {
    return switch (reduction) {
      case MEAN -> mean;
      case SUM -> mean.mul((double) samples.size() / samples.dim(0));
    };
  }

  private void requireDecisions(String operation, Step step) {
    for (int s : step.steps()) {
      if (!isDecision(s)) {
        throw new ReverieException(
            operation
                + ": step "
                + s
                + " (timestep "
                + TimestepGrid.text(grid.timestep(s))
                + ") has sigma 0 at eta "
                + eta
                + " and is no decision",
            "ask for decisions() only");
      }
    }
  }
}
