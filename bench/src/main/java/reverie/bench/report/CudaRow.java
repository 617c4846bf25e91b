// SPDX-License-Identifier: Apache-2.0
package reverie.bench.report;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.List;
import java.util.Locale;
import java.util.stream.DoubleStream;
import reverie.bench.measure.Ratio;
import reverie.tensor.debug.Profile;

/**
 * A step on a CUDA device, alone or in turn with PyTorch's; or why it could not be measured. What
 * there is not is null.
 *
 * @param name of the step
 * @param way {@code ours}, {@code eager} or {@code compiled}
 * @param failure why there is nothing else
 * @param ours this engine
 * @param peer PyTorch
 * @param ratio how many times as long the peer takes
 * @param agreement how far the results are apart
 * @param profile a step of this engine by operation
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record CudaRow(
    String name,
    String way,
    String failure,
    Side ours,
    Side peer,
    Ratio ratio,
    Agreement agreement,
    List<Profile.Row> profile) {
  /**
   * One side.
   *
   * @param what library, device and versions
   * @param millis median of the rounds
   * @param megabytes of the device's memory, in 2^20 bytes
   * @param rounds milliseconds of each round
   */
  public record Side(String what, double millis, double megabytes, List<Double> rounds) {
    /** Of these rounds. */
    public static Side of(String what, double megabytes, double... rounds) {
      return new Side(
          what, Ratio.median(rounds), megabytes, DoubleStream.of(rounds).boxed().toList());
    }
  }

  /**
   * How far the results of both sides are apart.
   *
   * @param tensor the worst beside its tolerance
   * @param difference relative
   * @param tolerance what rounding explains
   * @param holds whether the difference is no larger
   */
  public record Agreement(String tensor, double difference, double tolerance, boolean holds) {}

  /** A row that could not be measured. */
  public static CudaRow failed(String name, String way, Throwable failure) {
    String reason =
        failure.getMessage() == null ? failure.toString() : failure.getMessage().strip();
    return new CudaRow(name, way, reason, null, null, null, null, null);
  }

  /** The row as a line of text. */
  public String line() {
    String head = String.format(Locale.ROOT, "%-36s %-8s", name, way);
    if (failure != null) {
      return head + "  FAILED: " + failure.replace("\n", " | ");
    }
    String mine = String.format(Locale.ROOT, "%9.2f ms  %7.0f MB", ours.millis, ours.megabytes);
    if (peer == null) {
      return head + mine;
    }
    return head
        + String.format(
            Locale.ROOT,
            "%s  PyTorch %9.2f ms  %7.0f MB  %5.2f× [%.2f, %.2f]  %s %.1e of %.0e in %s",
            mine,
            peer.millis,
            peer.megabytes,
            ratio.median(),
            ratio.low(),
            ratio.high(),
            agreement.holds ? "agree:" : "DIFFER:",
            agreement.difference,
            agreement.tolerance,
            agreement.tensor);
  }
}
