// SPDX-License-Identifier: Apache-2.0
package reverie.tensor;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;
import java.util.function.IntUnaryOperator;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import reverie.tensor.laws.LeakCheck;

@ExtendWith(LeakCheck.class)
class PhiloxTest {
  /** The known answers that the authors publish with Random123. */
  @Test
  void givesTheKnownAnswers() {
    assertBlock(0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8);
    assertBlock(-1, -1, -1, 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd);
    assertBlock(
        0x299f31d0a4093822L,
        0x0370734413198a2eL,
        0x85a308d3243f6a88L,
        0xd16cfe09,
        0x94fdcceb,
        0x5001e420,
        0x24126ea1);
  }

  private static void assertBlock(long seed, long stream, long position, int... expected) {
    int[] words = new int[4];
    Philox.block(seed, stream, position, words);
    assertArrayEquals(expected, words);
  }

  @Test
  void uniformNumbersAreOpenAndExactInFloat() {
    assertEquals(0x1p-24, Philox.uniform(0));
    assertEquals(1 - 0x1p-24, Philox.uniform(-1));
    for (int word : new int[] {1 << 9, 0x12345678, Integer.MIN_VALUE, Integer.MAX_VALUE}) {
      assertEquals((float) Philox.uniform(word), Philox.uniform(word));
    }
  }

  @Test
  void normalNumbersFollowTheDefinition() {
    int[] words = new int[4];
    Philox.block(42, 7, 1, words);
    double radius = Math.sqrt(-2 * Math.log(Philox.uniform(words[2])));
    double angle = 2 * Math.PI * Philox.uniform(words[3]);
    try (Scope _ = Scope.open("test")) {
      double[] z = new Rng(42, 7).normal(Device.reference(), 9).toDoubles();
      assertEquals(radius * Math.cos(angle), z[6], 1e-14);
      assertEquals(radius * Math.sin(angle), z[7], 1e-14);
    }
  }

  @Test
  void rowsDoNotDependOnTheBatch() {
    try (Scope _ = Scope.open("test")) {
      for (Device device : new Device[] {Device.reference(), Device.cpu()}) {
        Rng[] rows = IntStream.range(0, 5).mapToObj(i -> Rng.of(9).fork(i)).toArray(Rng[]::new);
        double[] all = Rng.normalRows(device, rows, 3, 7).toDoubles();
        double[] last = Rng.normalRows(device, Arrays.copyOfRange(rows, 3, 5), 3, 7).toDoubles();
        assertArrayEquals(Arrays.copyOfRange(all, 3 * 21, 5 * 21), last);
        assertArrayEquals(
            Arrays.copyOfRange(all, 21, 42), rows[1].normal(device, 7, 3).toDoubles());
        assertArrayEquals(Arrays.copyOfRange(all, 21, 31), rows[1].normal(device, 10).toDoubles());
      }
    }
  }

  @Test
  void forksAreIndependentValues() {
    Rng root = Rng.of(3);
    assertEquals(root.fork(1, 2), root.fork(1).fork(2));
    assertNotEquals(root.fork(1, 2), root.fork(2, 1));
    assertNotEquals(root.fork("ab"), root.fork("ba"));
    Set<Rng> all = new HashSet<>();
    all.add(root);
    for (int i = -30; i < 30; i++) {
      all.add(root.fork(i));
      for (int j = -30; j < 30; j++) {
        all.add(root.fork(i, j));
      }
    }
    assertEquals(1 + 60 + 3600, all.size());
  }

  @Test
  void drawsAreUniform() {
    Rng rng = Rng.of(5);
    int[] counts = new int[7];
    double sum = 0;
    for (int i = 0; i < 70_000; i++) {
      counts[rng.below(i, 7)]++;
      double u = rng.uniform(i);
      assertTrue(u >= 0 && u < 1);
      sum += u;
    }
    assertEquals(0.5, sum / 70_000, 0.005);
    for (int count : counts) {
      assertEquals(10_000, count, 400);
    }
    assertThrows(ReverieException.class, () -> rng.below(0, 0));
  }

  @Test
  void permutationsAreUniform() {
    int[] counts = new int[6];
    for (int i = 0; i < 6000; i++) {
      int[] p = Rng.of(1).fork(i).permutation(3);
      assertArrayEquals(new int[] {0, 1, 2}, IntStream.of(p).sorted().toArray());
      counts[2 * p[0] + (p[1] > p[2] ? 1 : 0)]++;
    }
    for (int count : counts) {
      assertEquals(1000, count, 130);
    }
  }

  @Test
  void ordersAreThoseOfPermutationsAndOfManyNumbersNeedNoMemory() {
    Rng rng = Rng.of(4);
    assertArrayEquals(
        rng.permutation(50), IntStream.range(0, 50).map(rng.order(50)::applyAsInt).toArray());
    int many = 1_500_000;
    IntUnaryOperator order = rng.order(many);
    int[] some = IntStream.range(0, 20_000).map(order).toArray();
    assertEquals(some.length, IntStream.of(some).distinct().count());
    assertTrue(IntStream.of(some).allMatch(value -> value >= 0 && value < many));
    // Their mean within five standard deviations.
    double deviation = many / Math.sqrt(12.0 * some.length);
    assertEquals(many / 2.0, IntStream.of(some).average().orElseThrow(), 5 * deviation);
    int vast = rng.order(Integer.MAX_VALUE).applyAsInt(Integer.MAX_VALUE - 1);
    assertTrue(vast >= 0 && vast < Integer.MAX_VALUE);
  }
}
