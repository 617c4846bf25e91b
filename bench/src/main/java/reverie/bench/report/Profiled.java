// SPDX-License-Identifier: Apache-2.0
package reverie.bench.report;

import java.util.List;

/**
 * Where the time of a step goes.
 *
 * @param name model and step
 * @param millis of the whole step, not profiled, the median
 * @param operations the longest first
 */
public record Profiled(String name, double millis, List<OperationRow> operations) {}
