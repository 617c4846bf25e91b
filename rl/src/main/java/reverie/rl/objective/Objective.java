// SPDX-License-Identifier: Apache-2.0
package reverie.rl.objective;

/**
 * What is learnt, and from what. There is one kind per way of getting a gradient, and one file per
 * objective; an objective of your own implements the kind it needs.
 *
 * <ul>
 *   <li>{@link StepObjective}: a loss per decision of the reverse chain, from its log-probability
 *       alone. One decision at a time is differentiated, so memory does not depend on the number of
 *       steps.
 *   <li>{@link ChainObjective}: any function of all decisions' log-probabilities together, now,
 *       when they were made and under the reference model. Differentiated in two passes, so memory
 *       does not depend on the number of steps either.
 *   <li>{@link DenoisingObjective}: a loss per finished sample, noised again as in pretraining. The
 *       chain is not looked at, so that any sampler will do.
 *   <li>{@link PreferenceObjective}: a loss per pair of images that were compared before; nothing
 *       is drawn and nothing scored.
 * </ul>
 */
public sealed interface Objective permits RolloutObjective, PreferenceObjective {
  /** The name in configuration, logs and errors. */
  String name();
}
