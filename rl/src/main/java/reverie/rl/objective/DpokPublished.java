// SPDX-License-Identifier: Apache-2.0
package reverie.rl.objective;

import java.util.Optional;
import reverie.tensor.Tensor;

/**
 * DPOK as its public code has it, which differs from the paper in two ways: {@code -A clip(ρ, 1 -
 * range, 1 + range)} without the max, so that nothing outside of the interval has a gradient
 * whatever the sign of A; and the penalty {@code mean (out_θ - out_ref)²} of the model's outputs,
 * guidance included, in place of the KL.
 *
 * @param clipRange of the ratio of mean log-densities, 1e-4 in the public code
 * @param value how V is learnt
 */
public record DpokPublished(double clipRange, ValueFunction value) implements StepObjective {
  /** Checks the range. */
  public DpokPublished {
    DdpoImportanceSampled.check("dpok_published", clipRange, 1);
  }

  /** A clip range of 1e-4 and V as in the public code. */
  public DpokPublished() {
    this(1e-4, new ValueFunction());
  }

  @Override
  public String name() {
    return "dpok_published";
  }

  @Override
  public Optional<ValueFunction> baseline() {
    return Optional.of(value);
  }

  @Override
  public Penalty penalty() {
    return Penalty.OUTPUT_ERROR;
  }

  @Override
  public double usualKlWeight() {
    return 0.01;
  }

  @Override
  public Tensor loss(Tensor logProb, Tensor oldLogProb, Tensor advantage) {
    return DdpoImportanceSampled.ratio(logProb, oldLogProb)
        .clamp(1 - clipRange, 1 + clipRange)
        .mul(advantage)
        .neg();
  }
}
