// SPDX-License-Identifier: Apache-2.0
package reverie.bench.peer;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import reverie.autograd.nn.Parameter;
import reverie.bench.step.Kind;
import reverie.bench.step.Model;
import reverie.bench.step.OurStep;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * How far the results of both sides are apart: norm-wise, for every tensor on its own.
 *
 * @param tensor the one that is the worst beside its tolerance
 * @param error its relative difference
 * @param tolerance how large that may be
 */
record Agreement(String tensor, double error, double tolerance) {
  /**
   * A gradient shorter than this share of all is measured against that share: some are exactly
   * zero, and both sides have noise there.
   */
  private static final double FLOOR = 1e-4;

  /**
   * The largest relative differences that rounding explains.
   *
   * @param outputs of latents, losses and all parameters together
   * @param gradients of single gradients
   */
  record Tolerance(double outputs, double gradients) {
    /** Of float32. */
    static final Tolerance FLOAT32 = new Tolerance(1e-4, 1e-4);

    /** Of float32 where a gradient has come through a whole large model to small adapters. */
    static final Tolerance ADAPTERS = new Tolerance(1e-4, 1e-3);
  }

  /**
   * Makes one step on both sides and compares everything it computes, tensor by tensor.
   *
   * <p>Of a training step these are the loss, every first moment (a tenth of the clipped gradient,
   * as the optimizer saw it), and all parameters together: AdamW's first step goes by the sign of a
   * gradient, so that a single one near zero may go either way.
   */
  static Agreement of(Kind kind, Model model, OurStep ours, PeerStep peer, Tolerance tolerance) {
    Worst worst = new Worst();
    try (Scope _ = Scope.open("agreement")) {
      Tensor result = ours.make();
      Tensor comparable = kind.trains() ? result : result.permute(0, 3, 1, 2);
      Gap output = new Gap(kind.trains() ? "loss" : kind == Kind.DECODING ? "image" : "latents");
      output.add(comparable.toFloats(), peer.make());
      worst.see(output, 0, tolerance.outputs());
    }
    if (kind.trains()) {
      List<Gap> moments = new ArrayList<>();
      Iterator<Parameter> parameters = model.trained().all().iterator();
      peer.firstMoments(theirs -> {
        Parameter p = parameters.next();
        Gap gap = new Gap("moment of " + p.name());
        gap.add(inFile(p, ours.firstMoment(p)), theirs);
        moments.add(gap);
      });
      double all = Math.sqrt(moments.stream().mapToDouble(gap -> gap.peer).sum());
      moments.forEach(gap -> worst.see(gap, FLOOR * all, tolerance.gradients()));
      Gap updated = new Gap("parameters");
      Iterator<Parameter> again = model.trained().all().iterator();
      peer.trained(theirs -> {
        Parameter p = again.next();
        updated.add(inFile(p, p.value()), theirs);
      });
      worst.see(updated, 0, tolerance.outputs());
    }
    return worst.agreement;
  }

  /** Whether both sides compute the same; NaN is not the same as anything. */
  boolean holds() {
    return error <= tolerance;
  }

  /**
   * Makes sure that both sides compute the same: without that, times say nothing.
   *
   * @throws ReverieException if they do not
   */
  Agreement require() {
    if (!holds()) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "bench: expected both libraries to agree to %s, but %s differs by %.1e",
              tolerance,
              tensor,
              error),
          "times of different computations cannot be compared; please report this");
    }
    return this;
  }

  static float[] inFile(Parameter p, Tensor value) {
    try (Scope _ = Scope.open("in file")) {
      return p.axisOrder().toFile(value).toFloats();
    }
  }

  /** What lies between two tensors, or lists of them. */
  static final class Gap {
    private final String name;
    private double between;
    private double peer;

    Gap(String name) {
      this.name = name;
    }

    void add(float[] ours, float[] theirs) {
      if (ours.length != theirs.length) {
        throw new ReverieException(
            String.format(
                Locale.ROOT,
                "bench: %s has %d numbers here and %d there",
                name,
                ours.length,
                theirs.length));
      }
      for (int i = 0; i < ours.length; i++) {
        double gap = ours[i] - (double) theirs[i];
        between += gap * gap;
        peer += (double) theirs[i] * theirs[i];
      }
    }

    double relative(double floor) {
      return Math.sqrt(between) / Math.max(Math.max(Math.sqrt(peer), floor), Double.MIN_NORMAL);
    }
  }

  /** The largest difference so far. NaN stays once it is seen. */
  static final class Worst {
    private Agreement agreement;

    Agreement agreement() {
      return agreement;
    }

    void see(Gap gap, double floor, double tolerance) {
      Agreement next = new Agreement(gap.name, gap.relative(floor), tolerance);
      if (agreement == null
          || !Double.isNaN(agreement.error)
              && !(next.error / tolerance <= agreement.error / agreement.tolerance)) {
        agreement = next;
      }
    }
  }
}
