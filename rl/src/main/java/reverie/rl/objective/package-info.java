// SPDX-License-Identifier: Apache-2.0
/** What is learnt from a rollout: one file per objective. */
package reverie.rl.objective;
