// SPDX-License-Identifier: Apache-2.0
package reverie.spark;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.function.FlatMapFunction;
import org.apache.spark.api.java.function.Function;
import org.apache.spark.api.java.function.PairFlatMapFunction;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.util.LongAccumulator;
import org.apache.spark.util.TaskCompletionListener;
import reverie.rl.learn.Drawing;
import reverie.rl.learn.Fleet;
import reverie.rl.learn.Update;
import reverie.rl.objective.DenoisingObjective.Model;
import reverie.rl.reward.RewardBatch;
import scala.Tuple2;

/** What executors are sent to do. */
final class Tasks {
  private Tasks() {}

  /** Draws shards, from nothing but addresses and weights: again, if they are lost. */
  record Draw(
      Plan plan,
      Weights weights,
      Broadcast<Drawing> drawing,
      long number,
      int each,
      LongAccumulator sampled)
      implements Function<Integer, DrawnShard> {
    @Override
    public DrawnShard call(Integer shard) {
      int first = shard * each;
      DrawnShard drawn =
          Machine.run(
              plan,
              machine ->
                  machine.draw(
                      weights, number, shard, first, drawing.value().range(first, first + each)));
      sampled.add(each);
      return drawn;
    }
  }

  /** Has images scored, unless what they earn is known; those of the first shards are shown. */
  record Score(Plan plan, boolean known) implements Function<DrawnShard, Scored> {
    /** Images that the driver is sent in an epoch take no more. */
    private static final long SHOWN_BYTES = 64L << 20;

    @Override
    public Scored call(DrawnShard drawn) {
      double[] rewards = known ? null : Machine.run(plan, machine -> machine.score(drawn.images()));
      long values = drawn.images().stream().mapToLong(batch -> batch.values().length).sum();
      boolean shown = (drawn.shard() + 1) * values * (Float.BYTES + 1) <= SHOWN_BYTES;
      return new Scored(drawn.rollout().logProbs(), rewards, shown ? drawn.images() : List.of());
    }
  }

  /** What the driver learns of a shard: log-probabilities, what its samples earn, some images. */
  record Scored(double[][] logProbs, double[] rewards, List<RewardBatch> images)
      implements Serializable {}

  /** Draws images to measure a model by and has them scored. */
  record Evaluate(Plan plan, Weights weights, Fleet.Under model, LongAccumulator drawn)
      implements Function<Drawing, Fleet.Evaluated> {
    @Override
    public Fleet.Evaluated call(Drawing some) {
      Fleet.Evaluated evaluated =
          Machine.run(plan, machine -> machine.evaluate(weights, model, some));
      drawn.add(some.prompts().size());
      return evaluated;
    }
  }

  /** Scores decisions. */
  record LogProbs(Plan plan, Weights weights, Fleet.Under model, Broadcast<int[][]> samples)
      implements Function<DrawnShard, double[][]> {
    @Override
    public double[][] call(DrawnShard drawn) {
      int[] own = samples.value()[drawn.shard()];
      return Machine.run(plan, machine -> machine.logProbs(weights, drawn, model, own));
    }
  }

  /** Reads latents of the samples of each shard before some steps. */
  record Before(Plan plan, int[][] samples, int[][] steps)
      implements Function<DrawnShard, float[][]> {
    @Override
    public float[][] call(DrawnShard drawn) {
      int shard = drawn.shard();
      return Machine.run(plan, machine -> machine.before(drawn, samples[shard], steps[shard]));
    }
  }

  /** Differentiates the shards of a partition; a part of the result for each range. */
  record Differentiate(
      Plan plan,
      Weights weights,
      Map<Model, Weights> lagged,
      Broadcast<Update> update,
      Ranges ranges,
      LongAccumulator trained)
      implements PairFlatMapFunction<Iterator<DrawnShard>, Integer, Part> {
    @Override
    public Iterator<Tuple2<Integer, Part>> call(Iterator<DrawnShard> shards) {
      // Its shards may have to be drawn again, which takes the machine: first all of them, then it.
      List<DrawnShard> all = new ArrayList<>();
      shards.forEachRemaining(all::add);
      Sums sums =
          Machine.run(
              plan,
              machine -> machine.differentiate(weights, lagged, all, update.value(), trained::add));
      TaskCompletionListener close =
          _ ->
              Machine.run(
                  plan,
                  _ -> {
                    sums.close();
                    return null;
                  });
      TaskContext.get().addTaskCompletionListener(close);
      return IntStream.range(0, ranges.count())
          .mapToObj(range -> new Tuple2<>(range, Machine.run(plan, _ -> sums.part(ranges, range))))
          .iterator();
    }
  }

  /** Adds what all tasks have of a range. */
  record Merge(Plan plan) implements FlatMapFunction<Iterator<Tuple2<Integer, Part>>, Part> {
    @Override
    public Iterator<Part> call(Iterator<Tuple2<Integer, Part>> range) {
      List<Part> parts = new ArrayList<>();
      range.forEachRemaining(part -> parts.add(part._2));
      Part whole = Machine.run(plan, machine -> machine.merge(parts));
      return List.of(whole).iterator();
    }
  }
}
