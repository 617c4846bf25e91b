// SPDX-License-Identifier: Apache-2.0
package reverie.rl.prove;

import java.util.Arrays;
import reverie.autograd.nn.AxisOrder;
import reverie.autograd.nn.Initialiser;
import reverie.autograd.nn.Parameter;
import reverie.autograd.nn.Parameters;
import reverie.diffusion.Prediction;
import reverie.diffusion.ReversePolicy;
import reverie.diffusion.SchedulerConfig;
import reverie.diffusion.analytic.GaussianChain;
import reverie.diffusion.analytic.GaussianDenoiser;
import reverie.rl.ContextEncoder;
import reverie.rl.Policy;
import reverie.rl.reward.Reward;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Scope;

/**
 * A policy whose every expectation is known: one number drawn by 10 steps towards N(1, 0.5²), each
 * with a bias that can be trained; the reference has none. With the reward x_0 the gradient of the
 * expected reward with respect to bias i is {@code chain().gains()[i]}, and {@code
 * chain().optimum(1, beta)} are the biases that maximise {@code E[x_0] - beta KL(biased ‖ base)}.
 */
public final class GaussianPolicy implements AutoCloseable {
  /** Length of the chain, T; every step is a decision, and D = 1. */
  public static final int STEPS = 10;

  /** x_0 itself, from its place in [0, 1]. */
  public static final Reward SAMPLE =
      Reward.named(
          "x0",
          batch -> {
            double[] scores = new double[batch.size()];
            Arrays.setAll(scores, i -> 2.0 * batch.values()[i] - 1);
            return scores;
          });

  private final Parameters parameters;
  private final Parameter biases;
  private final GaussianChain chain;
  private final Policy policy;

  /** The base model: every bias 0. In float64 on the reference device. */
  public GaussianPolicy(Device device) {
    this(device, ReversePolicy.ddim(SchedulerConfig.stableDiffusion(), STEPS, 1));
  }

  /**
   * The same along another chain of {@link #STEPS} steps, of a diffusion that predicts ε or a flow.
   */
  GaussianPolicy(Device device, ReversePolicy process) {
    parameters = Parameters.random(device, Rng.of(0));
    biases = parameters.create("biases", AxisOrder.SAME, Initialiser.zeros(), STEPS);
    chain = GaussianChain.of(process, 1, 0.5);
    GaussianDenoiser base = GaussianDenoiser.of(process.schedule(), 1, 0.5);
    policy =
        new Policy(
            process,
            Prediction.EPSILON,
            base.biased(process, biases.value()),
            base,
            parameters,
            ContextEncoder.NONE,
            1,
            1,
            1);
  }

  /** What the trainer sees. */
  public Policy policy() {
    return policy;
  }

  /** The same on paper. */
  public GaussianChain chain() {
    return chain;
  }

  /** What is trained. */
  public Parameter biases() {
    return biases;
  }

  /** By how much these biases raise the mean of x_0. */
  public double shift(double... values) {
    return chain.mean(values) - chain.mean();
  }

  /** Sets the biases. */
  public void bias(double... values) {
    try (Scope _ = Scope.open("bias")) {
      biases.value().assign(biases.value().device().tensor(values, STEPS));
    }
  }

  @Override
  public void close() {
    parameters.close();
  }
}
