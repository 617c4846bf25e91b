// SPDX-License-Identifier: Apache-2.0

/** The oracle: every operation that cannot be written in others, as scalar float64 loops. */
package reverie.tensor.reference;
