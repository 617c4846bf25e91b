// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import java.util.Arrays;
import java.util.Locale;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import reverie.tensor.ReverieException;

/**
 * The steps of a {@link ReversePolicy} as numbers: how every step can be made, and how it is.
 *
 * @param name of the rule by which they were made
 * @param eta the noise level
 * @param clipRange x̂0 is clipped to plus and minus this; infinite for not at all
 * @param ways in which every step can be made
 * @param steps as they are made
 */
record ReverseChain(
    String name,
    NoiseSchedule schedule,
    TimestepGrid grid,
    double eta,
    double clipRange,
    Ways ways,
    StepCoefficients[] steps) {
  /** Below so many, diffusers' solver makes the last step to first order. */
  private static final int FEW_STEPS = 15;

  /**
   * The ways in which each step can be made.
   *
   * @param chance with the policy's noise
   * @param first by the differential equation, to first order
   * @param second the same to second order, where the step before was made by it too
   * @param secondOrder whether that is wanted
   */
  record Ways(
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
    private StepCoefficients[] where(IntPredicate decides) {
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

  /** DDIM, see {@link ReversePolicy#ddim}. */
  static ReverseChain ddim(SchedulerConfig config, NoiseSchedule schedule, int steps, double eta) {
    return diffusion(config, schedule, StepCoefficients.Rule.DDIM, config.endsClean(), steps, eta);
  }

  /** DDPM, see {@link ReversePolicy#ddpm}. */
  static ReverseChain ddpm(SchedulerConfig config, int steps) {
    NoiseSchedule schedule = config.schedule();
    ReverseChain small = diffusion(config, schedule, StepCoefficients.Rule.DDPM, true, steps, 1);
    if (!config.hasLargeVariance()) {
      return small;
    }
    StepCoefficients[] large = small.steps.clone();
    for (int i = 0; i < large.length; i++) {
      int t = (int) small.grid.timestep(i);
      double kept = i + 1 < large.length ? schedule.alphaBar((int) small.grid.next(i)) : 1;
      // Nothing is added at timestep 0.
      large[i] = large[i].withSigma(t == 0 ? 0 : Math.sqrt(1 - schedule.alphaBar(t) / kept));
    }
    return small.with(new Ways(large, small.ways.first, small.ways.second, false), _ -> true);
  }

  private static ReverseChain diffusion(
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
    return of(
        rule.name().toLowerCase(Locale.ROOT),
        config,
        schedule,
        grid,
        eta,
        new Ways(chance, first, solver(config, schedule, grid), false),
        _ -> true);
  }

  /** A flow, see {@link ReversePolicy#flow}. */
  static ReverseChain flow(SchedulerConfig config, int steps, FlowNoise noise, double level) {
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
    return of(
        noise.name().toLowerCase(Locale.ROOT),
        config,
        schedule,
        grid,
        noise == FlowNoise.ODE ? 0 : level,
        new Ways(chance, first, solver(config, schedule, grid), false),
        i -> i + 1 < steps);
  }

  /** DPM-Solver++, see {@link ReversePolicy#dpmSolver}. */
  static ReverseChain dpmSolver(SchedulerConfig config, int steps) {
    NoiseSchedule schedule = config.schedule();
    TimestepGrid grid = config.solverGrid(steps);
    StepCoefficients[] second = solver(config, schedule, grid);
    StepCoefficients[] first =
        Arrays.stream(second).map(StepCoefficients::firstOrder).toArray(StepCoefficients[]::new);
    return of(
        "dpm_solver", config, schedule, grid, 0, new Ways(first, first, second, true), _ -> false);
  }

  /** PNDM, see {@link ReversePolicy#pndm}. */
  static ReverseChain pndm(SchedulerConfig config, int steps) {
    NoiseSchedule schedule = config.schedule();
    if (schedule.isFlow()) {
      throw new ReverieException(
          "reverse policy: the model is a flow, which PNDM does not sample",
          "use ReversePolicy.flow");
    }
    TimestepGrid grid = config.pseudoNumericalGrid(steps);
    StepCoefficients[] all = new StepCoefficients[grid.steps()];
    for (int i = 0; i < all.length; i++) {
      // Step 1 makes step 0 again.
      int t = (int) grid.timestep(i == 1 ? 0 : i);
      int next = (int) (i == 1 ? grid.timestep(1) : grid.next(i));
      StepCoefficients step =
          StepCoefficients.of(
              schedule,
              config.prediction(),
              StepCoefficients.Rule.DDIM,
              t,
              next,
              config.endsClean(),
              0);
      all[i] = StepCoefficients.pseudoNumerical(step, i);
    }
    return of(
        "pndm",
        config.withoutClipping(),
        schedule,
        grid,
        0,
        new Ways(all, all, all, false),
        _ -> false);
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

  private static ReverseChain of(
      String name,
      SchedulerConfig config,
      NoiseSchedule schedule,
      TimestepGrid grid,
      double eta,
      Ways ways,
      IntPredicate decides) {
    double clipRange = config.clipSample() ? config.clipSampleRange() : Double.POSITIVE_INFINITY;
    return new ReverseChain(name, schedule, grid, eta, clipRange, ways, ways.where(decides));
  }

  private static void requireLevel(String name, double level) {
    if (!(level >= 0 && Double.isFinite(level))) {
      throw new ReverieException(
          "reverse policy: expected " + name + " of 0 or more, got " + level,
          "usual values are 0 to 1");
    }
  }

  private ReverseChain with(Ways other, IntPredicate decides) {
    return new ReverseChain(name, schedule, grid, eta, clipRange, other, other.where(decides));
  }

  /** The same with chance in these steps only. */
  ReverseChain deciding(IntPredicate decides) {
    return with(ways, decides);
  }

  /** The same with steps of the second order where there is no chance. */
  ReverseChain secondOrder() {
    return with(
        new Ways(ways.chance, ways.first, ways.second, true), step -> steps[step].sigma() > 0);
  }
}
