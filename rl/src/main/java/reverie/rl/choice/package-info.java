// SPDX-License-Identifier: Apache-2.0
/** Objectives that learn from choices between two samples, measured beside each other. */
package reverie.rl.choice;
