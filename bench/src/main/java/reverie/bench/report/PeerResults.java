// SPDX-License-Identifier: Apache-2.0
package reverie.bench.report;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.List;
import java.util.Locale;

/**
 * What the comparison with LibTorch found.
 *
 * @param rows one for each step, against the faster library
 * @param all one for each step and library
 * @param accuracy errors against float64
 */
public record PeerResults(List<Row> rows, List<Row> all, List<Accuracy> accuracy) {
  /**
   * One step against one library.
   *
   * @param name model and step
   * @param oursMs median milliseconds of this engine
   * @param peerMs median milliseconds of LibTorch
   * @param ratio median over the rounds of peer/ours
   * @param ratioLow lower end of its 95 % interval
   * @param ratioHigh upper end
   * @param oursPeakMb peak memory of this engine's process above its beginning, 2^20 bytes
   * @param peerPeakMb that of LibTorch's
   * @param threads of either side
   * @param cpu the processor
   * @param peer the library
   * @param variant how it was run: its fastest way
   * @param difference worst relative difference between the results of both sides
   * @param oursRounds milliseconds of each round
   * @param peerRounds milliseconds of each round
   */
  public record Row(
      String name,
      @JsonProperty("ours_ms") double oursMs,
      @JsonProperty("peer_ms") double peerMs,
      double ratio,
      @JsonProperty("ratio_ci95_low") double ratioLow,
      @JsonProperty("ratio_ci95_high") double ratioHigh,
      @JsonProperty("ours_peak_mb") double oursPeakMb,
      @JsonProperty("peer_peak_mb") double peerPeakMb,
      int threads,
      String cpu,
      String peer,
      String variant,
      double difference,
      @JsonProperty("ours_rounds_ms") List<Double> oursRounds,
      @JsonProperty("peer_rounds_ms") List<Double> peerRounds) {
    /** The row as a line of text. */
    public String line() {
      return String.format(
          Locale.ROOT,
          "%-18s %8.1f ms  %8.1f ms  %5.2f× [%.2f, %.2f]  %6.0f MB  %6.0f MB  %s, %s",
          name,
          oursMs,
          peerMs,
          ratio,
          ratioLow,
          ratioHigh,
          oursPeakMb,
          peerPeakMb,
          peer,
          variant);
    }
  }

  /**
   * Relative errors of one model against float64.
   *
   * @param model the model
   * @param peer the library
   * @param oursForward error of this engine's output
   * @param peerForward error of LibTorch's
   * @param oursGradient error of all gradients together
   * @param peerGradient error of LibTorch's
   */
  public record Accuracy(
      String model,
      String peer,
      @JsonProperty("ours_forward") double oursForward,
      @JsonProperty("peer_forward") double peerForward,
      @JsonProperty("ours_gradient") double oursGradient,
      @JsonProperty("peer_gradient") double peerGradient) {}
}
