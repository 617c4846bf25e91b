// SPDX-License-Identifier: Apache-2.0

/**
 * Right and wrong uses of every operation: what conformance tests, gradient checks and benchmarks
 * go through.
 */
package reverie.tensor.catalog;
