// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.util.Locale;

/** Says once that a clip range does not fit: its default knows nothing of the model. */
final class ClipWarning {
  private static final System.Logger LOG = System.getLogger(Trainer.class.getName());

  /** Beyond this share of clipped decisions most of the rest is about to be clipped too. */
  private static final double MUCH = 0.4;

  private boolean said;

  void watch(EpochReport report) {
    if (report.clipFraction() > MUCH && !said) {
      said = true;
      LOG.log(
          System.Logger.Level.WARNING,
          String.format(
              Locale.ROOT,
              "In epoch %d %.0f %% of the decisions left the clip range and taught nothing more:"
                  + " widen it, or lower the learning rate. This is said once.",
              report.epoch() + 1,
              100 * report.clipFraction()));
    }
  }
}
