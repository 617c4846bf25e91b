// SPDX-License-Identifier: Apache-2.0
/**
 * Fine-tuning by reward: rollouts of a policy, advantages, objectives (one file each) and the
 * trainer that brings them together. It knows neither U-Nets nor where models come from.
 */
package reverie.rl;
