// SPDX-License-Identifier: Apache-2.0
package reverie.spark;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.apache.spark.api.java.function.FlatMapFunction;
import org.apache.spark.api.java.function.Function;
import org.apache.spark.api.java.function.PairFlatMapFunction;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.util.LongAccumulator;
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
      Broadcast<Weights> weights,
      Broadcast<Drawing> drawing,
      long number,
      int each,
      LongAccumulator sampled)
      implements Function<Integer, DrawnShard> {
    @Override
    public DrawnShard call(Integer shard) throws Exception {
      int first = shard * each;
      DrawnShard drawn =
          Machine.run(
              plan,
              machine ->
                  machine.draw(
                      weights.value(),
                      number,
                      shard,
                      first,
                      drawing.value().range(first, first + each)));
      sampled.add(each);
      return drawn;
    }
  }

  /** What the driver learns of a shard when it is drawn. */
  record Drawn(double[][] logProbs, long imageBytes) implements Serializable {
    static Drawn of(DrawnShard shard) {
      long values = shard.images().stream().mapToLong(batch -> batch.values().length).sum();
      return new Drawn(shard.rollout().logProbs(), values * (Float.BYTES + 1));
    }
  }

  /** Has images scored; those of the first shards go to the driver. */
  record Score(Plan plan, int shown, boolean known) implements Function<DrawnShard, Scored> {
    @Override
    public Scored call(DrawnShard drawn) throws Exception {
      double[] rewards = known ? null : Machine.run(plan, machine -> machine.score(drawn.images()));
      return new Scored(rewards, drawn.shard() < shown ? drawn.images() : List.of());
    }
  }

  /** What a shard's samples earn, and some images. */
  record Scored(double[] rewards, List<RewardBatch> images) implements Serializable {}

  /** Draws images to measure a model by and has them scored. */
  record Evaluate(Plan plan, Broadcast<Weights> weights, Fleet.Under model, LongAccumulator drawn)
      implements Function<Drawing, Fleet.Evaluated> {
    @Override
    public Fleet.Evaluated call(Drawing some) throws Exception {
      Fleet.Evaluated evaluated =
          Machine.run(plan, machine -> machine.evaluate(weights.value(), model, some));
      drawn.add(some.prompts().size());
      return evaluated;
    }
  }

  /** Scores decisions. */
  record LogProbs(
      Plan plan, Broadcast<Weights> weights, Fleet.Under model, Broadcast<int[][]> samples)
      implements Function<DrawnShard, double[][]> {
    @Override
    public double[][] call(DrawnShard drawn) throws Exception {
      int[] own = samples.value()[drawn.shard()];
      return Machine.run(plan, machine -> machine.logProbs(weights.value(), drawn, model, own));
    }
  }

  /** Reads latents of the samples of each shard before some steps. */
  record Before(Plan plan, int[][] samples, int[][] steps)
      implements Function<DrawnShard, float[][]> {
    @Override
    public float[][] call(DrawnShard drawn) throws Exception {
      int shard = drawn.shard();
      return Machine.run(plan, machine -> machine.before(drawn, samples[shard], steps[shard]));
    }
  }

  /** Differentiates the shards of a partition; a part of the result for each range. */
  record Differentiate(
      Plan plan,
      Broadcast<Weights> weights,
      Map<Model, Broadcast<Weights>> lagged,
      Broadcast<Update> update,
      Ranges ranges,
      LongAccumulator trained)
      implements PairFlatMapFunction<Iterator<DrawnShard>, Integer, Part> {
    @Override
    public Iterator<Tuple2<Integer, Part>> call(Iterator<DrawnShard> shards) throws Exception {
      Map<Model, Weights> others = new EnumMap<>(Model.class);
      lagged.forEach((model, values) -> others.put(model, values.value()));
      // Its shards may have to be drawn again, which takes the machine: first all of them, then it.
      List<DrawnShard> all = new ArrayList<>();
      shards.forEachRemaining(all::add);
      List<Part> parts =
          Machine.run(
              plan,
              machine ->
                  machine.differentiate(
                      weights.value(), others, all, update.value(), ranges, trained::add));
      return IntStream.range(0, parts.size())
          .mapToObj(range -> new Tuple2<>(range, parts.get(range)))
          .iterator();
    }
  }

  /** Adds what all tasks have of a range. */
  record Merge(Plan plan) implements FlatMapFunction<Iterator<Tuple2<Integer, Part>>, Part> {
    @Override
    public Iterator<Part> call(Iterator<Tuple2<Integer, Part>> range) throws Exception {
      List<Part> parts = new ArrayList<>();
      range.forEachRemaining(part -> parts.add(part._2));
      Part whole = Machine.run(plan, machine -> machine.merge(parts));
      return List.of(whole).iterator();
    }
  }
}
