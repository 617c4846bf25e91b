// SPDX-License-Identifier: Apache-2.0
package reverie.app.reward;

import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import reverie.app.text.TokenEncoder;
import reverie.tensor.ReverieException;

/**
 * BERTScore's recall (Zhang et al. 2020, eq. 1, with the weights of §3 and the rescaling of eq. 6):
 * how much of a reference is found in a candidate. Every token of the reference is matched with the
 * token of the candidate whose state is nearest by cosine, {@code R = Σ w(x) max_y cos(x, y) / Σ
 * w(x)}. As in the authors' code the tokens at the beginning and the end may be matched, but weigh
 * nothing themselves, and an empty text scores 0.
 */
final class BertScore {
  private final TokenEncoder encoder;
  private final Map<Integer, Double> idf;
  private final double unseen;
  private final double baseline;

  /**
   * A scorer.
   *
   * @param references texts over which inverse document frequencies are counted; empty to weigh all
   *     tokens alike
   * @param baseline the score of texts that have nothing to do with each other, below 1: scores
   *     become {@code (R − b)/(1 − b)}
   */
  BertScore(TokenEncoder encoder, List<String> references, double baseline) {
    if (!(baseline < 1) || baseline < -1) {
      throw new ReverieException(
          "BERTScore: the baseline is " + baseline, "it is a cosine below 1; 0 is none");
    }
    this.encoder = encoder;
    this.baseline = baseline;
    idf = references.isEmpty() ? null : idf(references.stream().map(encoder::tokens).toList());
    unseen = Math.log(references.size() + 1.0);
  }

  /** {@code log((N + 1)/(n + 1))} for a token in n of N texts. */
  static Map<Integer, Double> idf(List<int[]> texts) {
    Map<Integer, Integer> counts = new HashMap<>();
    for (int[] text : texts) {
      Set<Integer> once = new HashSet<>();
      Arrays.stream(text).forEach(once::add);
      once.forEach(token -> counts.merge(token, 1, Integer::sum));
    }
    Map<Integer, Double> idf = new HashMap<>();
    counts.forEach((token, n) -> idf.put(token, Math.log((texts.size() + 1.0) / (n + 1.0))));
    return idf;
  }

  /** How much of the reference is in the candidate. */
  double recall(String reference, String candidate) {
    int[] expected = encoder.tokens(reference);
    int[] found = encoder.tokens(candidate);
    double[] weights = Arrays.stream(expected).mapToDouble(this::weight).toArray();
    double recall =
        expected.length <= 2 || found.length <= 2
            ? 0
            : recall(encoder.states(expected), weights, encoder.states(found));
    return (recall - baseline) / (1 - baseline);
  }

  private double weight(int token) {
    if (token == encoder.tokenizer().begin() || token == encoder.tokenizer().end()) {
      return 0;
    }
    return idf == null ? 1 : idf.getOrDefault(token, unseen);
  }

  /**
   * Greedy matching.
   *
   * @param reference a state for each token
   * @param weights of the reference's tokens; 0 where all of them are 0
   * @param candidate a state for each token
   */
  static double recall(float[][] reference, double[] weights, float[][] candidate) {
    double sum = 0;
    double weight = 0;
    for (int i = 0; i < reference.length; i++) {
      double best = Double.NEGATIVE_INFINITY;
      for (float[] state : candidate) {
        best = Math.max(best, cosine(reference[i], state));
      }
      sum += weights[i] == 0 ? 0 : weights[i] * best;
      weight += weights[i];
    }
    return weight == 0 ? 0 : sum / weight;
  }

  private static double cosine(float[] a, float[] b) {
    double product = 0;
    double squaresOfA = 0;
    double squaresOfB = 0;
    for (int i = 0; i < a.length; i++) {
      product += (double) a[i] * b[i];
      squaresOfA += (double) a[i] * a[i];
      squaresOfB += (double) b[i] * b[i];
    }
    return product / Math.sqrt(squaresOfA * squaresOfB);
  }
}
