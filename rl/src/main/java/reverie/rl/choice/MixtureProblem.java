// SPDX-License-Identifier: Apache-2.0
package reverie.rl.choice;

import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import reverie.autograd.nn.AxisOrder;
import reverie.autograd.nn.Initialiser;
import reverie.autograd.nn.Parameter;
import reverie.autograd.nn.Parameters;
import reverie.diffusion.Denoiser;
import reverie.diffusion.FlowNoise;
import reverie.diffusion.Prediction;
import reverie.diffusion.ReversePolicy;
import reverie.diffusion.SchedulerConfig;
import reverie.diffusion.TimestepGrid;
import reverie.rl.ContextEncoder;
import reverie.rl.Policy;
import reverie.rl.prompt.Prompt;
import reverie.rl.prove.Quadrature;
import reverie.rl.reward.Reward;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Tensor;

/**
 * The exact flow of two Gaussians in the plane, {@code N(±(1, ½), ¼)}, of which the log-odds and a
 * shift of both are trained. The reward is the first coordinate: tilting by {@code exp(x₁/β)} moves
 * the log-odds by 2/β and both means by 1/(4β), so that the optimum of the samples' own KL lies in
 * the family. What its probability flow draws is the mixture of its parameters, whose expectations
 * are found by quadrature.
 */
public final class MixtureProblem implements ChoiceProblem {
  /** Weight of the KL. */
  public static final double BETA = 1;

  private static final double[] MEAN = {1, 0.5};
  private static final double VARIANCE = 0.25;
  private static final int STEPS = 10;

  private final Parameters parameters;
  private final Parameters base;
  private final Parameter logOdds;
  private final Parameter shift;
  private final Policy policy;

  /** At its beginning: as many of both. */
  public MixtureProblem(Device device) {
    parameters = Parameters.random(device, Rng.of(0));
    logOdds = parameters.create("log_odds", AxisOrder.SAME, Initialiser.zeros(), 1);
    shift = parameters.create("shift", AxisOrder.SAME, Initialiser.zeros(), 2);
    base = parameters.frozenCopy();
    SchedulerConfig config = SchedulerConfig.flow(1).withSpacing(TimestepGrid.Spacing.TRAILING, 0);
    ReversePolicy process = ReversePolicy.flow(config, STEPS, FlowNoise.FLOW_SDE, 0.7);
    policy =
        new Policy(
            process,
            Prediction.FLOW,
            flow(logOdds.value(), shift.value(), config.trainSteps()),
            flow(
                base.get(logOdds.name()).value(),
                base.get(shift.name()).value(),
                config.trainSteps()),
            parameters,
            ContextEncoder.NONE,
            1,
            2,
            1);
  }

  /** v̂ is the mean of those of both Gaussians, weighted by how likely x is of each. */
  private static Denoiser flow(Tensor logOdds, Tensor shift, int trainSteps) {
    return (x, timesteps, context) -> {
      int n = x.dim(0);
      double[] sigma = Arrays.stream(timesteps.toDoubles()).map(t -> t / trainSteps).toArray();
      Tensor kept = column(x, Arrays.stream(sigma).map(s -> 1 - s).toArray());
      double[] variance =
          Arrays.stream(sigma).map(s -> (1 - s) * (1 - s) * VARIANCE + s * s).toArray();
      double[] slope = new double[n];
      Arrays.setAll(slope, i -> (sigma[i] - (1 - sigma[i]) * VARIANCE) / variance[i]);
      Tensor mean = x.device().tensor(MEAN, 1, 2);
      Tensor moved = shift.reshape(1, 2);
      Tensor first = moved.add(mean);
      Tensor second = moved.sub(mean);
      Tensor flat = x.reshape(n, 2);
      Tensor ofFirst = flat.sub(kept.mul(first));
      Tensor ofSecond = flat.sub(kept.mul(second));
      Tensor odds =
          ofSecond
              .square()
              .sumKeep(1)
              .sub(ofFirst.square().sumKeep(1))
              .mul(column(x, Arrays.stream(variance).map(v -> 0.5 / v).toArray()))
              .add(logOdds.reshape(1, 1));
      Tensor share = odds.sigmoid();
      Tensor slopes = column(x, slope);
      Tensor v1 = ofFirst.mul(slopes).sub(first);
      Tensor v2 = ofSecond.mul(slopes).sub(second);
      return v2.add(share.mul(v1.sub(v2))).reshape(n, 1, 2, 1);
    };
  }

  private static Tensor column(Tensor x, double... values) {
    return x.device().tensor(values, values.length, 1);
  }

  @Override
  public Policy policy() {
    return policy;
  }

  @Override
  public Reward reward() {
    return Reward.named(
        "x1",
        batch -> {
          double[] scores = new double[batch.size()];
          Arrays.setAll(scores, i -> 2.0 * batch.values()[2 * i] - 1);
          return scores;
        });
  }

  @Override
  public List<Prompt> prompts(int pairs) {
    return Collections.nCopies(pairs, new Prompt("x"));
  }

  @Override
  public Map<String, Double> measure(double divergence) {
    return measured(logOdds.value().item(), shift.value().toDoubles(), divergence);
  }

  /** What it would be at the optimum of the samples' own KL. */
  public static Map<String, Double> optimum() {
    return measured(2 / BETA, new double[] {VARIANCE / BETA, 0}, Double.NaN);
  }

  private static Map<String, Double> measured(double odds, double[] shift, double divergence) {
    double share = 1 / (1 + Math.exp(-odds));
    double reward = shift[0] + (2 * share - 1) * MEAN[0];
    Quadrature square = Quadrature.of(24);
    double kl = 0;
    for (int side = 0; side < 2; side++) {
      double sign = side == 0 ? 1 : -1;
      double part =
          square.mean(i -> {
            double deviation = Math.sqrt(VARIANCE);
            double x = sign * MEAN[0] + shift[0] + deviation * square.first()[i];
            double y = sign * MEAN[1] + shift[1] + deviation * square.second()[i];
            return logDensity(x, y, share, shift) - logDensity(x, y, 0.5, new double[2]);
          });
      kl += (side == 0 ? share : 1 - share) * part;
    }
    Map<String, Double> measured = new LinkedHashMap<>();
    measured.put("log-odds", odds);
    measured.put("shift", shift[0]);
    measured.put("E r", reward);
    measured.put("KL of samples", kl);
    measured.put("KL of chains", divergence);
    measured.put("E r - β KL of samples", reward - BETA * kl);
    return measured;
  }

  private static double logDensity(double x, double y, double share, double... shift) {
    double first = distance(x - shift[0] - MEAN[0], y - shift[1] - MEAN[1]);
    double second = distance(x - shift[0] + MEAN[0], y - shift[1] + MEAN[1]);
    double least = Math.min(first, second);
    return -least
        + Math.log(share * Math.exp(least - first) + (1 - share) * Math.exp(least - second));
  }

  private static double distance(double x, double y) {
    return (x * x + y * y) / (2 * VARIANCE);
  }

  @Override
  public void close() {
    parameters.close();
    base.close();
  }
}
