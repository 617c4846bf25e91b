// SPDX-License-Identifier: Apache-2.0
package reverie.app.pretrain;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import reverie.app.data.ImageSet;
import reverie.app.text.LetterEncoder;
import reverie.diffusion.NoiseSchedule;
import reverie.diffusion.SchedulerConfig;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Scope;

class DenoisingBatchesTest {
  private static final NoiseSchedule SCHEDULE = SchedulerConfig.defaults().schedule();
  private static final int IMAGES = 10;
  private static final ImageSet SET =
      ImageSet.of(1, 1, IntStream.range(0, IMAGES).mapToObj(DenoisingBatchesTest::item).toList());

  /** Image i is of the colour i and has i + 1 letters of prompt. */
  private static ImageSet.Item item(int i) {
    return new ImageSet.Item("" + i, "x".repeat(i + 1), new float[] {i, i, i});
  }

  private static DenoisingBatches batches(int size, double dropout) {
    return new DenoisingBatches(
        DenoisingBatches.Samples.of(SET), new LetterEncoder(), size, dropout, Rng.of(3));
  }

  @Test
  void everyImageComesOnceAnEpoch() {
    DenoisingBatches batches = batches(4, 0);
    int[] twoEpochs =
        IntStream.range(0, 5).flatMap(step -> Arrays.stream(batches.rows(step))).toArray();
    int[] first = Arrays.copyOf(twoEpochs, IMAGES);
    int[] second = Arrays.copyOfRange(twoEpochs, IMAGES, 2 * IMAGES);
    assertFalse(Arrays.equals(first, second));
    for (int[] epoch : List.of(first, second)) {
      assertArrayEquals(
          IntStream.range(0, IMAGES).toArray(), Arrays.stream(epoch).sorted().toArray());
    }
  }

  @Test
  void imagesKeepTheirPrompts() {
    try (Scope _ = Scope.open("test")) {
      DenoisingBatches.Batch batch = batches(IMAGES, 0).at(7, SCHEDULE, Device.reference());
      float[] colours = batch.clean().slice(3, 0, 1).toFloats();
      float[] letters = batch.context().toFloats();
      for (int i = 0; i < IMAGES; i++) {
        assertEquals(colours[i] + 1, letters[i]);
      }
    }
  }

  @Test
  void aShareOfThePromptsIsDropped() {
    try (Scope _ = Scope.open("test")) {
      int dropped = 0;
      for (int step = 0; step < 100; step++) {
        float[] letters =
            batches(IMAGES, 0.2).at(step, SCHEDULE, Device.reference()).context().toFloats();
        for (float count : letters) {
          dropped += count == 0 ? 1 : 0;
        }
      }
      // 1000 draws at 0.2: five standard deviations are 63.
      assertEquals(200, dropped, 63);
    }
  }

  @Test
  void timestepsAreSpreadOverTheBatch() {
    try (Scope _ = Scope.open("test")) {
      double[] timesteps =
          batches(IMAGES, 0).at(0, SCHEDULE, Device.reference()).draw().timesteps();
      for (int i = 0; i < IMAGES; i++) {
        assertTrue(
            timesteps[i] >= 100 * i && timesteps[i] < 100 * (i + 1), Arrays.toString(timesteps));
      }
      // Each by a chance of its own, and another at the next step.
      assertTrue(Arrays.stream(timesteps).map(t -> t % 100).distinct().count() > 5);
      double[] next = batches(IMAGES, 0).at(1, SCHEDULE, Device.reference()).draw().timesteps();
      assertFalse(Arrays.equals(timesteps, next));
    }
  }

  @Test
  void aStepIsTheSameWheneverItIsAsked() {
    try (Scope _ = Scope.open("test")) {
      DenoisingBatches.Batch once = batches(4, 0.5).at(11, SCHEDULE, Device.reference());
      DenoisingBatches again = batches(4, 0.5);
      again.at(10, SCHEDULE, Device.reference());
      DenoisingBatches.Batch twice = again.at(11, SCHEDULE, Device.reference());
      assertArrayEquals(once.clean().toFloats(), twice.clean().toFloats());
      assertArrayEquals(once.context().toFloats(), twice.context().toFloats());
      assertArrayEquals(once.draw().timesteps(), twice.draw().timesteps());
      assertArrayEquals(once.draw().noise().toFloats(), twice.draw().noise().toFloats());
    }
  }
}
