// SPDX-License-Identifier: Apache-2.0
package reverie.rl.prove;

import java.util.List;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;
import reverie.autograd.Tape;
import reverie.rl.objective.ChainObjective;
import reverie.rl.objective.ChainObjective.Chains;
import reverie.rl.objective.PlackettLuce;
import reverie.rl.objective.Ppod;
import reverie.rl.objective.Prdp;
import reverie.tensor.Device;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * Losses of whole chains on one small matrix of log-probabilities, 4 chains of 3 decisions, in
 * float64. The gradients are compared as well.
 */
final class ChainIdentities {
  private static final int CHAINS = 4;
  private static final int STEPS = 3;
  private static final double[] REFERENCE = matrix(n -> Math.sin(1.3 * n + .5));
  private static final double[] OLD = matrix(n -> REFERENCE[n] + .02 * Math.cos(.7 * n));
  private static final double[] NOW = matrix(n -> OLD[n] + .01 * Math.sin(2.1 * n + 1));
  private static final double[] REWARDS = {.3, -.1, .25, .3};
  private static final double ROUNDING = 1e-12;

  private ChainIdentities() {}

  /** A loss and its gradient. */
  private record Value(double loss, double[] gradient) {
    Proof.Result against(Value exact, String objective) {
      double error =
          IntStream.range(0, gradient.length)
              .mapToDouble(i -> Math.abs(gradient[i] - exact.gradient[i]))
              .max()
              .orElseThrow();
      return new Proof.Result(
          objective, loss, exact.loss, Math.max(error, Math.abs(loss - exact.loss)), ROUNDING);
    }
  }

  private static double[] matrix(IntToDoubleFunction value) {
    return IntStream.range(0, CHAINS * STEPS).mapToDouble(value).toArray();
  }

  private static Value value(ChainObjective objective, double[] now, int... groups) {
    try (Scope _ = Scope.open("identity")) {
      Device device = Device.reference();
      Tensor logProb = device.tensor(now, CHAINS, STEPS);
      var chains =
          new Chains(
              device.tensor(OLD, CHAINS, STEPS),
              device.tensor(REFERENCE, CHAINS, STEPS),
              REWARDS,
              groups);
      Tape.Result result = Tape.run(List.of(logProb), () -> objective.loss(logProb, chains));
      return new Value(result.loss().item(), result.gradient(logProb).toDoubles());
    }
  }

  /** The published loss of PRDP (Deng et al. 2024, App. G), as it came out of its own code. */
  record PublishedPrdp() implements Proof {
    @Override
    public String name() {
      return "has the value of the published code";
    }

    @Override
    public Result run() {
      Prdp objective = new Prdp(.1, .005, Prdp.Time.MEAN);
      double loss = value(objective, NOW, 0, 0, 0, 0).loss();
      return Result.of(objective.name(), loss, 8.82836382659363, ROUNDING);
    }
  }

  /** At the weights that drew the chains clipping does nothing, as in the only update of K = 1. */
  record InertClipping() implements Proof {
    @Override
    public String name() {
      return "K = 1: clipping changes nothing";
    }

    @Override
    public Result run() {
      Prdp clipped = new Prdp(1, 1e-6, Prdp.Time.MEAN);
      Prdp free = new Prdp(1, Double.POSITIVE_INFINITY, Prdp.Time.MEAN);
      return value(clipped, OLD, 0, 0, 0, 0).against(value(free, OLD, 0, 0, 0, 0), clipped.name());
    }
  }

  /** The ranking of two chains is one choice. */
  record RankingOfTwo() implements Proof {
    @Override
    public String name() {
      return "K = 2: a ranking is a choice";
    }

    @Override
    public Result run() {
      var ranking = new PlackettLuce(.7);
      var pairwise = new Ppod(Ppod.Link.SIGMOID, Ppod.Span.CHAIN, .7, Double.POSITIVE_INFINITY);
      return value(ranking, NOW, 0, 0, 1, 1)
          .against(value(pairwise, NOW, 0, 0, 1, 1), ranking.name());
    }
  }
}
