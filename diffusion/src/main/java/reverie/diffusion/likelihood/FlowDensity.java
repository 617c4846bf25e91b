// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion.likelihood;

import java.util.List;
import reverie.autograd.Tape;
import reverie.diffusion.Denoiser;
import reverie.diffusion.NoiseSchedule;
import reverie.diffusion.Prediction;
import reverie.tensor.ReverieException;
import reverie.tensor.Tensor;

/**
 * The log-density of {@link FlowLikelihood} for training: in steps of one length, by the classical
 * rule of Runge and Kutta of order 4, made of tensor operations alone, so that a tape around it
 * differentiates it by the model's weights. The divergence is differentiated as well, a gradient of
 * a gradient. Memory grows with the number of steps.
 */
public final class FlowDensity {
  private final FlowField field;
  private final int steps;

  /**
   * Prepares.
   *
   * @param steps of the integration, four evaluations of the model each
   */
  public FlowDensity(NoiseSchedule schedule, Prediction prediction, int steps) {
    if (steps < 1) {
      throw new ReverieException("flow density: expected at least one step, got " + steps);
    }
    field = FlowField.of(schedule, prediction);
    this.steps = steps;
  }

  /** A state on the way, and the divergence so far or its rate. */
  private record Point(Tensor x, Tensor volume) {
    Point plus(Point rate, double by) {
      return new Point(x.add(rate.x.mul(by)), volume.add(rate.volume.mul(by)));
    }
  }

  /**
   * The log-densities of images, in nats: {@code [n]}.
   *
   * @param original {@code [n, …]}
   * @param context {@code [n, tokens, dim]} or null
   * @param vectors like original, v of the divergence {@code Σ vᵀJv} times {@code scale}: all unit
   *     vectors for the exact one, or a few of random signs
   * @param scale 1, or one over the number of random vectors
   */
  public Tensor of(
      Denoiser denoiser, Tensor original, Tensor context, List<Tensor> vectors, double scale) {
    int n = original.dim(0);
    int elements = Math.toIntExact(original.size() / n);
    double length = (field.highest() - field.lowest()) / steps;
    Point at = new Point(original, original.device().zeros(n));
    for (int i = 0; i < steps; i++) {
      double level = field.lowest() + i * length;
      Rate rate = (point, where) -> rate(denoiser, point, where, context, vectors, scale);
      Point k1 = rate.at(at, level);
      Point k2 = rate.at(at.plus(k1, length / 2), level + length / 2);
      Point k3 = rate.at(at.plus(k2, length / 2), level + length / 2);
      Point k4 = rate.at(at.plus(k3, length), level + length);
      at = at.plus(k1, length / 6).plus(k2, length / 3).plus(k3, length / 3).plus(k4, length / 6);
    }
    Tensor prior =
        at.x.reshape(n, elements).square().sum(1).add(elements * Math.log(2 * Math.PI)).mul(-0.5);
    return prior.add(at.volume);
  }

  private interface Rate {
    Point at(Point point, double level);
  }

  private Point rate(
      Denoiser denoiser,
      Point point,
      double level,
      Tensor context,
      List<Tensor> vectors,
      double scale) {
    Tensor x = point.x;
    int n = x.dim(0);
    int elements = Math.toIntExact(x.size() / n);
    Tensor timesteps = x.device().full(field.timestep(level), n);
    Tensor[] output = new Tensor[1];
    Tensor trace = x.device().zeros(n);
    for (Tensor v : vectors) {
      Tensor product =
          Tape.pullback(
              () -> {
                output[0] = denoiser.predict(x, timesteps, context);
                return output.clone();
              },
              new Tensor[] {x},
              new Tensor[] {v})[0];
      if (product != null) {
        trace = trace.add(product.mul(v).reshape(n, elements).sum(1).mul(scale));
      }
    }
    double ofState = field.ofState(level);
    double ofOutput = field.ofOutput(level);
    return new Point(
        x.mul(ofState).add(output[0].mul(ofOutput)), trace.mul(ofOutput).add(ofState * elements));
  }
}
