// SPDX-License-Identifier: Apache-2.0
/** Black boxes that judge pictures, and what keeps them from harming a run. */
package reverie.rl.reward;
