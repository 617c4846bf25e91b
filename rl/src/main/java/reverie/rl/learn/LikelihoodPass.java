// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.lang.invoke.MethodHandles;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import reverie.autograd.Tape;
import reverie.autograd.optim.BackwardPass;
import reverie.autograd.optim.GradientAccumulator;
import reverie.diffusion.likelihood.FlowDensity;
import reverie.diffusion.likelihood.Trace;
import reverie.rl.Policy;
import reverie.rl.objective.PreferenceObjective;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.Rng;
import reverie.tensor.Tensor;

/**
 * Differentiates a {@link PreferenceObjective} of the log-likelihoods of both images of a pair, by
 * the flow of the model and by that of the reference. Both images and both models are asked with
 * the same vectors.
 */
final class LikelihoodPass implements AutoCloseable {
  private final Device device;
  private final int elements;
  private final int probes;
  private final BackwardPass<Inputs, PreferenceLearner.Excess> pass;

  /** Images, contexts or null, and the vectors of the divergence one after the other. */
  private record Inputs(
      Tensor chosen, Tensor rejected, Tensor contexts, Tensor vectors, Tensor factor) {}

  LikelihoodPass(
      Policy policy,
      PreferenceObjective objective,
      PreferenceObjective.Likelihood how,
      GradientAccumulator gradients) {
    device = policy.device();
    elements = policy.height() * policy.width() * policy.channels();
    probes = how.probes();
    var density = new FlowDensity(policy.process().schedule(), policy.prediction(), how.steps());
    pass =
        new BackwardPass<>(
            MethodHandles.lookup(), device, gradients, in -> loss(policy, objective, density, in));
  }

  private BackwardPass.Loss<PreferenceLearner.Excess> loss(
      Policy policy, PreferenceObjective objective, FlowDensity density, Inputs in) {
    Tensor both = Ops.concat(0, in.chosen, in.rejected);
    Tensor twice = in.contexts == null ? null : Ops.concat(0, in.contexts, in.contexts);
    int[] dims = in.chosen.shape().dims();
    List<Tensor> vectors =
        IntStream.range(0, count())
            .mapToObj(k -> in.vectors.slice(1, k * elements, (k + 1) * elements).contiguous())
            .map(v -> Ops.concat(0, v.reshape(dims), v.reshape(dims)))
            .toList();
    double scale = probes == 0 ? 1 : 1.0 / probes;
    Tensor base =
        Tape.noGradient(() -> density.of(policy.reference(), both, twice, vectors, scale)).detach();
    Tensor excess = base.sub(density.of(policy.denoiser(), both, twice, vectors, scale));
    int n = dims[0];
    Tensor chosen = excess.slice(0, 0, n);
    Tensor rejected = excess.slice(0, n, 2 * n);
    return new BackwardPass.Loss<>(
        objective.loss(chosen, rejected).sum().mul(in.factor),
        new PreferenceLearner.Excess(chosen, rejected));
  }

  private int count() {
    return probes == 0 ? elements : probes;
  }

  /**
   * Adds the gradient of a batch of pairs.
   *
   * @param rows the random numbers of each pair
   */
  BackwardPass.Loss<PreferenceLearner.Excess> add(
      Tensor chosen, Tensor rejected, Tensor contexts, Rng[] rows, double factor) {
    int width = count() * elements;
    float[] vectors = new float[rows.length * width];
    for (int i = 0; i < rows.length; i++) {
      Trace trace =
          probes == 0 ? new Trace.Exact() : new Trace.Hutchinson(probes, rows[i].fork("probe"));
      float[] own = trace.rows(0, count(), elements);
      System.arraycopy(own, 0, vectors, i * width, width);
    }
    return pass.add(
        new Inputs(
            chosen,
            rejected,
            contexts,
            device.tensor(vectors, rows.length, width),
            device.scalar(factor)));
  }

  Optional<String> captureFailure() {
    return pass.captureFailure();
  }

  @Override
  public void close() {
    pass.close();
  }
}
