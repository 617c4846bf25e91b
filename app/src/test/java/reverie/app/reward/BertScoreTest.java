// SPDX-License-Identifier: Apache-2.0
package reverie.app.reward;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import reverie.app.text.MiniLm;
import reverie.app.text.TokenEncoder;
import reverie.tensor.ReverieException;

class BertScoreTest {
  /** By hand: the nearest of each row, whatever its length; then their weighted mean. */
  @Test
  void everyTokenOfTheReferenceIsMatchedWithTheNearest() {
    float[][] reference = {{1, 0}, {0, 2}, {3, 3}};
    float[][] candidate = {{5, 0}, {3, 4}};
    double diagonal = Math.sqrt(0.5);
    double third = (0.6 + 0.8) * diagonal;
    assertEquals(
        (1 + 0.8 + third) / 3,
        BertScore.recall(reference, new double[] {1, 1, 1}, candidate),
        1e-12);
    assertEquals(
        (0.5 * 0.8 + 2 * third) / 2.5,
        BertScore.recall(reference, new double[] {0, 0.5, 2}, candidate),
        1e-12);
    // It is recall: the other way round the means are over the candidate.
    assertEquals(
        (1 + third) / 2, BertScore.recall(candidate, new double[] {1, 1}, reference), 1e-12);
    assertEquals(0, BertScore.recall(reference, new double[3], candidate));
    assertEquals(-1, BertScore.recall(new float[][] {{1}}, new double[] {1}, new float[][] {{-1}}));
  }

  @Test
  void rareTokensWeighMore() {
    Map<Integer, Double> idf =
        BertScore.idf(List.of(new int[] {1, 5, 5, 2}, new int[] {1, 5, 6, 2}, new int[] {1, 7, 2}));
    assertEquals(0, idf.get(1));
    assertEquals(Math.log(4 / 3.0), idf.get(5), 1e-15);
    assertEquals(Math.log(2), idf.get(6), 1e-15);
    assertEquals(Math.log(2), idf.get(7), 1e-15);
  }

  @Test
  void aDescriptionOfThePromptScoresMore() {
    try (TokenEncoder encoder = MiniLm.open()) {
      BertScore plain = new BertScore(encoder, List.of(), 0);
      String prompt = "a dolphin riding a bike";
      assertEquals(1, plain.recall(prompt, prompt), 1e-6);
      double near = plain.recall(prompt, "a gray dolphin sits on a bicycle");
      double far = plain.recall(prompt, "a plate of green vegetables");
      assertTrue(near > far + 0.2, () -> near + " " + far);
      assertEquals(0, plain.recall(prompt, ""));
      assertEquals(0, plain.recall("", "a dolphin"));
      BertScore rescaled = new BertScore(encoder, List.of(), 0.25);
      assertEquals(
          (near - 0.25) / 0.75, rescaled.recall(prompt, "a gray dolphin sits on a bicycle"));
      // Among prompts that all ride a bike, only the animal counts.
      List<String> prompts = List.of(prompt, "a cat riding a bike", "a dog riding a bike");
      BertScore weighted = new BertScore(encoder, prompts, 0);
      int[] tokens = encoder.tokens(prompt);
      float[][] states = encoder.states(tokens);
      float[][] other = encoder.states(encoder.tokens("a bike"));
      assertEquals(
          BertScore.recall(new float[][] {states[2]}, new double[] {1}, other),
          weighted.recall(prompt, "a bike"),
          1e-9);
      // A token of none of the three counts log 4, one of one of them log 2.
      String unknown = "a dolphin zebra";
      float[][] both = encoder.states(encoder.tokens(unknown));
      assertEquals(5, both.length);
      assertEquals(
          BertScore.recall(both, new double[] {0, 0, Math.log(2), Math.log(4), 0}, other),
          weighted.recall(unknown, "a bike"),
          1e-9);
      assertThrows(ReverieException.class, () -> new BertScore(encoder, List.of(), 1));
    }
  }
}
