// SPDX-License-Identifier: Apache-2.0

/**
 * What a step asks of a CUDA device, counted without one: {@link reverie.bench.count.StepCount}
 * runs the CUDA backend on a driver and libraries that record work instead of doing it.
 */
package reverie.bench.count;
