// SPDX-License-Identifier: Apache-2.0
package reverie.bench.report;

import com.fasterxml.jackson.annotation.JsonProperty;
import reverie.bench.measure.Roofline;
import reverie.tensor.op.Cost;

/**
 * One operation measured, or all of one name within a step.
 *
 * @param label what it was
 * @param count how often it ran in this time
 * @param micros the time of all
 * @param error half of the interval of the time, or NaN
 * @param gflops arithmetic a second; of a convolution the arithmetic of its definition, of which
 *     Winograd's algorithm needs less
 * @param gigabytes a second, every input read and every output written once
 * @param intensity operations per byte
 * @param share of the roofline's limit
 */
public record OperationRow(
    String label,
    long count,
    double micros,
    double error,
    double gflops,
    @JsonProperty("gigabytes_a_second") double gigabytes,
    double intensity,
    double share) {
  /** Of a time and its cost. */
  public static OperationRow of(
      String label, long count, double nanos, double errorNanos, Cost cost, Roofline roofline) {
    return new OperationRow(
        label,
        count,
        nanos * 1e-3,
        errorNanos * 1e-3,
        cost.flops() / nanos,
        cost.bytes() / nanos,
        cost.bytes() == 0 ? 0 : cost.flops() / cost.bytes(),
        roofline.limit(cost) / nanos);
  }
}
