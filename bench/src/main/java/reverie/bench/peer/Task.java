// SPDX-License-Identifier: Apache-2.0
package reverie.bench.peer;

import java.util.List;
import reverie.bench.step.Kind;
import reverie.bench.step.Subject;

/**
 * What one child process is asked to do; travels as JSON.
 *
 * @param build the LibTorch to load, or null for none
 * @param subject the model
 * @param kind the step
 * @param channelsLast whether LibTorch's images and kernels lie in channels-last memory
 * @param rounds how often to measure
 * @param threads for both sides
 */
record Task(
    What what,
    LibTorch.Build build,
    Subject subject,
    Kind kind,
    boolean channelsLast,
    int rounds,
    int threads) {
  /** The kinds of tasks. */
  enum What {
    /** Times LibTorch alone in both layouts, to find its fastest way. */
    TRIAL,
    /** Checks that both sides agree, then times them in turn. */
    COMPARE,
    /** Peak memory of LibTorch alone, or of this engine where there is no build. */
    MEMORY,
    /** Errors of both sides against float64. */
    ACCURACY
  }

  /** What a trial found for one layout. */
  record Trial(boolean channelsLast, double millis) {}

  /**
   * What a comparison found.
   *
   * @param difference the worst relative difference of a result, by which the sides agree
   * @param ours milliseconds of each round
   * @param peer milliseconds of each round
   */
  record Comparison(double difference, double[] ours, double[] peer) {}

  /** Relative errors of one model against float64. */
  record Accuracy(
      double oursForward, double peerForward, double oursGradient, double peerGradient) {}

  /** What a child writes: the parts that its task asks for, the others null. */
  record Answer(
      List<Trial> trials, Comparison comparison, Double peakMegabytes, Accuracy accuracy) {}
}
