// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import reverie.autograd.optim.GradientAccumulator;
import reverie.rl.objective.DdpoScoreFunction;
import reverie.rl.prompt.Prompt;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Scope;

class LocalFleetTest {
  /** Latents and contexts of samples out of order, two of which lie in each of three shards. */
  @Test
  void statesOfSeveralShardsAreThoseOfEachSample() {
    TrainerSettings settings =
        TrainerTest.settings().with(it -> it.promptsPerEpoch(6).samplesPerPrompt(1).shards(3));
    List<Prompt> prompts =
        Stream.of("a", "bee", "cat", "dogs", "e", "fish").map(text -> new Prompt(text)).toList();
    int[] samples = {1, 0, 5, 2, 3};
    int[] steps = {4, 0, 2, 5, 1};
    try (Scope _ = Scope.open("test");
        var model = new TinyModel(Device.cpu());
        var sums = new GradientAccumulator(model.parameters.trainable());
        var fleet =
            new LocalFleet(
                new Fleet.Job(
                    model.policy(1, 2),
                    new DdpoScoreFunction(),
                    TrainerTest.BRIGHTNESS,
                    settings,
                    sums))) {
      fleet.draw(Drawing.of(prompts, 1, Rng.of(4), null), _ -> {});
      float[] latents = fleet.before(samples, steps).toFloats();
      float[] contexts = fleet.contexts(samples).toFloats();
      for (int i = 0; i < samples.length; i++) {
        assertArrayEquals(
            fleet.before(new int[] {samples[i]}, new int[] {steps[i]}).toFloats(),
            Arrays.copyOfRange(latents, 6 * i, 6 * i + 6));
        assertArrayEquals(
            fleet.contexts(samples[i]).toFloats(), Arrays.copyOfRange(contexts, 2 * i, 2 * i + 2));
      }
    }
  }
}
