// SPDX-License-Identifier: Apache-2.0

/**
 * Interpreters that look at every operation and pass it on: {@link reverie.tensor.debug.NanGuard}
 * stops at the first NaN, {@link reverie.tensor.debug.Shadow} compares with the float64 reference,
 * {@link reverie.tensor.debug.Profile} measures.
 */
package reverie.tensor.debug;
