// SPDX-License-Identifier: Apache-2.0
package reverie.rl.objective;

import java.util.List;
import java.util.Optional;

/** The objectives that configurations can name, each with its published values. */
public final class Objectives {
  /** All of them; {@link Objective#name} tells which is which. */
  public static final List<Objective> ALL =
      List.of(
          new DdpoScoreFunction(),
          new DdpoImportanceSampled(),
          new Grpo(),
          new GrpoGuard(),
          new Dpok(),
          new DpokPublished(),
          new Prdp(),
          new Ppod(),
          new PlackettLuce(),
          new RewardWeightedRegression(),
          new SparseRegression(),
          new DiffusionNft(),
          new AdvantageWeightedMatching(),
          new CenteredRewardDistillation(),
          new DirectGroupPreference(),
          new DiffusionDpo(),
          new OdeDpo());

  private Objectives() {}

  /** The objective of this name with its published values. */
  public static Optional<Objective> named(String name) {
    return ALL.stream().filter(objective -> objective.name().equals(name)).findFirst();
  }
}
