// SPDX-License-Identifier: Apache-2.0
package reverie.rl.reward;

/**
 * How colourful images are to people (Hasler and Süsstrunk 2003, eq. 8): with {@code rg = R − G}
 * and {@code yb = (R + G)/2 − B} in levels of 0 to 255, {@code √(σ²_rg + σ²_yb) + 0.3·√(μ²_rg +
 * μ²_yb)}. 0 for grey images, above 100 for extremely colourful ones.
 */
public record Colourfulness() implements Reward {
  @Override
  public String name() {
    return "colourfulness";
  }

  @Override
  public double[] score(RewardBatch batch) {
    double[] scores = new double[batch.size()];
    for (int i = 0; i < scores.length; i++) {
      scores[i] = of(batch.images(), i);
    }
    return scores;
  }

  private static double of(Images images, int index) {
    if (images.channels() == 1) {
      return 0;
    }
    double[] sums = new double[2];
    double[] squares = new double[2];
    int pixels = images.height() * images.width();
    for (int y = 0; y < images.height(); y++) {
      for (int x = 0; x < images.width(); x++) {
        int red = images.value(index, y, x, 0);
        int green = images.value(index, y, x, 1);
        double[] opponents = {red - green, (red + green) / 2.0 - images.value(index, y, x, 2)};
        for (int axis = 0; axis < 2; axis++) {
          sums[axis] += opponents[axis];
          squares[axis] += opponents[axis] * opponents[axis];
        }
      }
    }
    double variance = 0;
    double mean = 0;
    for (int axis = 0; axis < 2; axis++) {
      double center = sums[axis] / pixels;
      mean += center * center;
      variance += squares[axis] / pixels - center * center;
    }
    return Math.sqrt(Math.max(0, variance)) + 0.3 * Math.sqrt(mean);
  }
}
