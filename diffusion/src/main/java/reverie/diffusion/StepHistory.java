// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import reverie.tensor.Tensor;

/** What the steps of a chain look back at, in the scope in which it was made. */
final class StepHistory {
  private final boolean linear;
  private final Seen seen;

  /**
   * Like the latents each, or null where no step of the chain looks at it.
   *
   * @param first what the step before saw: x̂0 for a solver of second order, the model's output for
   *     a linear multistep method
   * @param second the step before that
   * @param third the step before that
   * @param start the latents at which the chain began
   */
  record Seen(Tensor first, Tensor second, Tensor third, Tensor start) {}

  private StepHistory(boolean linear, Seen seen) {
    this.linear = linear;
    this.seen = seen;
  }

  /** Of a chain that begins here; null where no step of the policy looks back. */
  static StepHistory of(ReversePolicy policy, Tensor start) {
    if (policy.isLinearMultistep()) {
      return new StepHistory(true, new Seen(like(start), like(start), like(start), like(start)));
    }
    return policy.isSecondOrder()
        ? new StepHistory(false, new Seen(like(start), null, null, null))
        : null;
  }

  private static Tensor like(Tensor x) {
    return x.device().zeros(x.shape().dims());
  }

  Seen seen() {
    return seen;
  }

  /**
   * Remembers a step.
   *
   * @param x the latents before it
   * @param now what it saw
   */
  void add(int step, Tensor x, Tensor now) {
    if (linear && step == 0) {
      seen.start.assign(x);
    }
    if (linear && step == 1) {
      // The first step made again, better.
      return;
    }
    if (linear) {
      seen.third.assign(seen.second);
      seen.second.assign(seen.first);
    }
    seen.first.assign(now);
  }
}
