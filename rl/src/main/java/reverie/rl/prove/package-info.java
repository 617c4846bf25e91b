// SPDX-License-Identifier: Apache-2.0
/** Objectives held against optima that are known on paper. */
package reverie.rl.prove;
