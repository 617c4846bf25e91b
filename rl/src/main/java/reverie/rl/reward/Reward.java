// SPDX-License-Identifier: Apache-2.0
package reverie.rl.reward;

import java.awt.image.BufferedImage;
import java.util.List;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;

/**
 * A black box that judges images; larger is better. It may be slow, may call other processes and
 * may fail: {@link RewardRunner} keeps it on a thread of its own and turns every misbehaviour into
 * one clear error.
 *
 * <p>A reward is called by one thread at a time and needs no gradient.
 */
@FunctionalInterface
public interface Reward extends AutoCloseable {
  /**
   * Scores a batch.
   *
   * @return one finite score per sample, in the order of the batch
   * @throws Exception for whatever reason; the run stops with this as the cause
   */
  double[] score(RewardBatch batch) throws Exception;

  /** The name in logs and errors. */
  default String name() {
    return getClass().getSimpleName();
  }

  /** The rewards that this one is made of; they are started and closed with it. */
  default List<Reward> parts() {
    return List.of();
  }

  /**
   * Makes ready what can be made ready before the first batch, such as a program or a model, so
   * that what cannot work is said at once; otherwise the first batch does it.
   *
   * @throws reverie.tensor.ReverieException if it cannot work
   */
  default void start() {
    parts().forEach(Reward::start);
  }

  /** Frees what it holds, such as a program. */
  @Override
  default void close() {
    parts().forEach(Reward::close);
  }

  /** Gives a lambda a name. */
  static Reward named(String name, Reward reward) {
    return new NamedReward(name, reward);
  }

  /** A reward that judges one image at a time. */
  static Reward perImage(String name, ToDoubleFunction<BufferedImage> score) {
    return named(
        name,
        batch ->
            IntStream.range(0, batch.size())
                .mapToObj(batch.images()::image)
                .mapToDouble(score)
                .toArray());
  }
}
