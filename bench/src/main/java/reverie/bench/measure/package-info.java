// SPDX-License-Identifier: Apache-2.0

/** Measuring: repetitions in turn, medians with their spread, the roofline of the machine. */
package reverie.bench.measure;
