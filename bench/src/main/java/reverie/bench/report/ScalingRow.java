// SPDX-License-Identifier: Apache-2.0
package reverie.bench.report;

/**
 * The cost of a step with one thing changed.
 *
 * @param what is changed
 * @param value to what
 * @param step what was measured
 * @param millis median
 * @param perSample milliseconds for each sample
 */
public record ScalingRow(String what, String value, String step, double millis, double perSample) {}
