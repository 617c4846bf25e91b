// SPDX-License-Identifier: Apache-2.0
/** Black boxes that judge images, and what keeps them from harming a run. */
package reverie.rl.reward;
