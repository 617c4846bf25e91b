// SPDX-License-Identifier: Apache-2.0
/**
 * Fine-tuning by reward. Here is what everything else speaks of: the {@linkplain reverie.rl.Policy
 * policy}. Rewards, prompts, advantages and objectives (one file each) have packages of their own;
 * {@link reverie.rl.learn} brings them together.
 */
package reverie.rl;
