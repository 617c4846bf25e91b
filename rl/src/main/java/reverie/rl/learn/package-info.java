// SPDX-License-Identifier: Apache-2.0
/**
 * The trainer: rollouts of a policy, their rewards and advantages, and for each kind of objective a
 * learner that gathers its gradient. It knows neither U-Nets nor where models come from.
 */
package reverie.rl.learn;
