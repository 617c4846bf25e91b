// SPDX-License-Identifier: Apache-2.0

/** A sampling or training step of a model, as the trainers make it. */
package reverie.bench.step;
