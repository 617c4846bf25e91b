// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import java.util.Arrays;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;
import reverie.diffusion.ChainPosition.Factor;
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
 *   <li>Re-scoring a latent with the same weights gives the same number.
 *   <li>No result is NaN or infinite unless the model's output is.
 * </ul>
 *
 * <p>Immutable; thread-safe.
 */
public final class ReversePolicy {
  private final ReverseChain chain;
  private final LogProbReduction reduction;

  /**
   * The action's distribution at one step of each sample.
   *
   * @param mean like x_t
   * @param sigma {@code [n]}
   * @param steps the step of each sample; none if they are not known, see {@link ChainPosition}
   */
  public record Step(Tensor mean, Tensor sigma, int[] steps) {}

  private ReversePolicy(ReverseChain chain) {
    this(chain, LogProbReduction.MEAN);
  }

  private ReversePolicy(ReverseChain chain, LogProbReduction reduction) {
    this.chain = chain;
    this.reduction = reduction;
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
    return new ReversePolicy(ReverseChain.ddim(config, schedule, steps, eta));
  }

  /**
   * Ancestral sampling of DDPM: η = 1, ending at ᾱ = 1. The same as {@link #ddim} but where x̂0 is
   * clipped: here ε̂ follows the clipped x̂0, as in the posterior mean. The variance is that of the
   * posterior, or with the file's {@code variance_type: fixed_large} that of the forward step.
   */
  public static ReversePolicy ddpm(SchedulerConfig config, int steps) {
    return new ReversePolicy(ReverseChain.ddpm(config, steps));
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
    return new ReversePolicy(ReverseChain.flow(config, steps, noise, level));
  }

  /**
   * The deterministic chain of DPM-Solver++ of second order (2M, midpoint) on the timesteps of
   * diffusers' DPMSolverMultistepScheduler: for sampling and evaluation. It has no decisions.
   */
  public static ReversePolicy dpmSolver(SchedulerConfig config, int steps) {
    return new ReversePolicy(ReverseChain.dpmSolver(config, steps));
  }

  /**
   * The deterministic chain of the pseudo linear multistep method (PLMS, Liu et al. 2022) that
   * Stable Diffusion 1.x is drawn with by default: diffusers' PNDMScheduler with {@code
   * skip_prk_steps}. The model is asked once more than there are steps, for the first is made
   * twice; x̂0 is not clipped. It has no decisions.
   *
   * @param steps one less than {@link #steps()}
   */
  public static ReversePolicy pndm(SchedulerConfig config, int steps) {
    return new ReversePolicy(ReverseChain.pndm(config, steps));
  }

  private ReversePolicy with(ReverseChain other) {
    return new ReversePolicy(other, reduction);
  }

  /**
   * The same chain with chance in some steps only; the others follow the differential equation. See
   * {@link DecisionWindow}.
   *
   * @param decides whether a step has the policy's noise; it is a decision if that is more than 0
   */
  public ReversePolicy deciding(IntPredicate decides) {
    return with(chain.deciding(decides));
  }

  /**
   * The same chain, whose steps without chance are made to second order: by DPM-Solver++ 2M, which
   * begins anew after every step with chance.
   */
  public ReversePolicy secondOrder() {
    return with(chain.secondOrder());
  }

  /** Whether a step looks at the x̂0 of the step before. */
  public boolean isSecondOrder() {
    return Arrays.stream(chain.steps()).anyMatch(step -> step.correction() != 0);
  }

  /** Whether a step looks at the model's earlier outputs. */
  boolean isLinearMultistep() {
    return Arrays.stream(chain.steps())
        .anyMatch(step -> !step.past().equals(StepCoefficients.Past.NONE));
  }

  /** The same policy with log-probabilities reduced like this; the mean by default. */
  public ReversePolicy reducedBy(LogProbReduction other) {
    return new ReversePolicy(chain, other);
  }

  // The chain.

  /**
   * The rule of the steps in a few words, which tells two chains on the same timesteps apart:
   * {@code ddim, eta 1.0}.
   */
  public String rule() {
    return chain.name() + ", eta " + eta() + (chain.ways().secondOrder() ? ", second order" : "");
  }

  /** Number of steps of the chain. */
  public int steps() {
    return chain.steps().length;
  }

  /** The timesteps of the chain. */
  public TimestepGrid grid() {
    return chain.grid();
  }

  /** The timestep at which a step begins, as the model gets it. */
  public double timestep(int step) {
    return grid().timestep(step);
  }

  /** The address of a step's noise among the random numbers of a sample. */
  int noiseAddress(int step) {
    return schedule().isFlow() ? step : (int) timestep(step);
  }

  /** The forward process that the chain reverses. */
  public NoiseSchedule schedule() {
    return chain.schedule();
  }

  /** The noise level: η, or that of a flow's noise. */
  public double eta() {
    return chain.eta();
  }

  /** Whether x̂0 is clipped, so that the mean is not linear in the model's output. */
  public boolean clips() {
    return !Double.isInfinite(chain.clipRange());
  }

  /** How log-probabilities are reduced. */
  public LogProbReduction reduction() {
    return reduction;
  }

  /** Standard deviation of the action at a step. */
  public double sigma(int step) {
    return chain.steps()[step].sigma();
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
              + eta()
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
    return chain.steps()[step].x();
  }

  /** The factor of the model's output in the mean of a step; exact where x̂0 is not clipped. */
  public double outputFactor(int step) {
    return chain.steps()[step].output();
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
        x.device(), grid(), chain.steps(), Rows.perSample("reverse policy", x, steps));
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

  /** What a step of a linear multistep method makes of the mean. */
  Tensor joined(Tensor mean, StepHistory.Seen past, ChainPosition at) {
    return mean.add(at.times(past.first(), Factor.FIRST))
        .add(at.times(past.second(), Factor.SECOND))
        .add(at.times(past.third(), Factor.THIRD))
        .add(at.times(past.start(), Factor.START));
  }

  /** Whether a factor is other than 0 anywhere, wherever chance may be left in. */
  private boolean uses(Factor factor) {
    return chain.ways().all().anyMatch(step -> factor.of(step) != 0);
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
    return clips() ? original.clamp(-chain.clipRange(), chain.clipRange()) : original;
  }

  /**
   * Draws the next latents.
   *
   * @param rows the random numbers of each sample for this very step; not looked at where σ = 0 for
   *     all
   */
  public Tensor sample(Step step, Rng... rows) {
    Tensor mean = step.mean();
    if (Arrays.stream(step.steps()).noneMatch(this::isDecision)) {
      return mean;
    }
    int[] dims = mean.shape().dims();
    return sample(
        step, Rng.normalRows(mean.device(), rows, Arrays.copyOfRange(dims, 1, dims.length)));
  }

  /**
   * The next latents that this noise makes.
   *
   * @param noise standard normal, like the mean
   */
  public Tensor sample(Step step, Tensor noise) {
    return step.mean().add(noise.mul(Rows.column(noise, step.sigma())));
  }

  /**
   * Log-probability of the actions: {@code [n]}.
   *
   * @param next the latents that were drawn
   * @throws ReverieException if a step with σ = 0 is among them
   */
  public Tensor logProb(Tensor next, Step step) {
    requireDecisions("log-probability", step);
    Tensor mean = Ops.gaussianLogProb(next, step.mean(), step.sigma());
    return reduction.ofMeans(mean, next);
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
    return reduction.ofMeans(mean.mul(step.sigma().square().reciprocal()).mul(0.5), gap);
  }

  private void requireDecisions(String operation, Step step) {
    for (int s : step.steps()) {
      if (!isDecision(s)) {
        throw new ReverieException(
            operation
                + ": step "
                + s
                + " (timestep "
                + TimestepGrid.text(timestep(s))
                + ") has sigma 0 at eta "
                + eta()
                + " and is no decision",
            "ask for decisions() only");
      }
    }
  }
}
