// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

/**
 * How chance enters the steps of a flow. With {@code dt = σ' − σ < 0} and {@code ε̂ = x + (1−σ)·v}
 * all but {@link #CPS} are one Euler–Maruyama step
 *
 * <pre>{@code
 * mean = x + v·dt + (g²/2σ)·ε̂·dt        deviation = g·√(−dt)
 * }</pre>
 *
 * and differ in g, which the level sets.
 */
public enum FlowNoise {
  /** g = 0: no decision. */
  ODE,
  /** g = level·√(σ/(1−σ)) (Flow-GRPO, Liu et al. 2025), 0.7 there. */
  FLOW_SDE,
  /** g = level (DanceGRPO, Xue et al. 2025), 0.3 there. */
  DANCE_SDE,
  /**
   * {@code mean = (1−σ')·x̂0 + √(σ'²−s²)·ε̂}, {@code s = σ'·sin(level·π/2)}: DDIM in the
   * coordinates of a flow (Flow-CPS, Wang and Yu 2025). Exact where x̂0 is; as steps get finer it
   * does not come to the flow's distribution, see docs/samplers.md.
   */
  CPS;

  /** g at σ. */
  double diffusion(double level, double sigma, double denominator) {
    return switch (this) {
      case ODE, CPS -> 0;
      case FLOW_SDE -> level * Math.sqrt(sigma / (1 - denominator));
      case DANCE_SDE -> level;
    };
  }
}
