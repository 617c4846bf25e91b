// SPDX-License-Identifier: Apache-2.0
package reverie.spark;

import java.io.Serializable;
import java.util.List;
import reverie.rl.learn.Rollout;
import reverie.rl.reward.RewardBatch;

/**
 * A shard's samples, where they were drawn.
 *
 * @param drawing number of the drawing to which they belong
 * @param shard number of the shard
 * @param rollout latents and log-probabilities
 * @param images as the reward is given them
 */
record DrawnShard(long drawing, int shard, Rollout.Stored rollout, List<RewardBatch> images)
    implements Serializable {}
