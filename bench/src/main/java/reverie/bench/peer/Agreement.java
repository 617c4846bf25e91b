// SPDX-License-Identifier: Apache-2.0
package reverie.bench.peer;

import java.util.List;
import java.util.Locale;
import reverie.autograd.nn.Parameter;
import reverie.bench.step.Kind;
import reverie.bench.step.OurStep;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.unet.UNet;

/** Whether both sides compute the same; without that, times say nothing. */
final class Agreement {
  /** Of float32, norm-wise, for every tensor on its own: results, gradients, moments. */
  static final double TOLERANCE = 1e-4;

  /**
   * A gradient shorter than this share of all is measured against that share: some are exactly
   * zero, and both sides have noise there.
   */
  private static final double FLOOR = 1e-4;

  private Agreement() {}

  /**
   * Makes one step on both sides, compares everything it computes, and gives the worst relative
   * difference.
   *
   * <p>Of a training step these are the loss, every first moment (a tenth of the clipped gradient,
   * as the optimizer saw it), and all parameters together: AdamW's first step goes by the sign of a
   * gradient, so that a single one near zero may go either way.
   *
   * @throws ReverieException if that is more than the tolerance
   */
  static double require(Kind kind, UNet model, OurStep ours, PeerStep peer, double tolerance) {
    Worst worst = new Worst();
    List<Parameter> parameters = model.parameters().all();
    try (Scope _ = Scope.open("agreement")) {
      Tensor result = ours.make();
      if (kind.trains()) {
        worst.see("loss", result.toFloats(), peer.make(), 0);
        List<float[]> moments = peer.firstMoments();
        double floor = FLOOR * norm(joined(moments));
        for (int i = 0; i < parameters.size(); i++) {
          Parameter p = parameters.get(i);
          float[] moment = inFile(p, ours.firstMoment(p));
          worst.see("moment of " + p.name(), moment, moments.get(i), floor);
        }
        List<float[]> updated = parameters.stream().map(p -> inFile(p, p.value())).toList();
        worst.see("parameters", joined(updated), joined(peer.parameters()), 0);
      } else {
        worst.see("latents", result.permute(0, 3, 1, 2).toFloats(), peer.make(), 0);
      }
    }
    if (!(worst.error <= tolerance)) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "bench: expected both libraries to agree to %s, but %s differs by %.1e",
              tolerance,
              worst.name,
              worst.error),
          "times of different computations cannot be compared; please report this");
    }
    return worst.error;
  }

  static float[] inFile(Parameter p, Tensor value) {
    return p.layout().toFile(value).toFloats();
  }

  private static double norm(float... values) {
    double sum = 0;
    for (float v : values) {
      sum += (double) v * v;
    }
    return Math.sqrt(sum);
  }

  private static float[] joined(List<float[]> parts) {
    float[] all = new float[parts.stream().mapToInt(p -> p.length).sum()];
    int from = 0;
    for (float[] part : parts) {
      System.arraycopy(part, 0, all, from, part.length);
      from += part.length;
    }
    return all;
  }

  /** The largest difference so far. NaN stays once it is seen. */
  static final class Worst {
    private String name = "nothing";
    private double error;

    void see(String what, float[] ours, float[] peer, double floor) {
      if (ours.length != peer.length) {
        throw new ReverieException(
            String.format(
                Locale.ROOT,
                "bench: %s has %d numbers here and %d there",
                what,
                ours.length,
                peer.length));
      }
      double sum = 0;
      for (int i = 0; i < ours.length; i++) {
        double gap = ours[i] - (double) peer[i];
        sum += gap * gap;
      }
      double relative = Math.sqrt(sum) / Math.max(Math.max(norm(peer), floor), Double.MIN_NORMAL);
      if (!Double.isNaN(error) && !(relative <= error)) {
        name = what;
        error = relative;
      }
    }

    double error() {
      return error;
    }
  }
}
