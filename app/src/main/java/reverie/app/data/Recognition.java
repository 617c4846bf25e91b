// SPDX-License-Identifier: Apache-2.0
package reverie.app.data;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Says whether drawn images show what their prompts ask for, by comparing pixels with real images:
 * exact, without any learnt judge.
 */
public interface Recognition {
  /** What is looked for, as names of measures have it; the first is what an image is known by. */
  List<String> parts();

  /**
   * Judges drawn images.
   *
   * @param images {@code [n, height, width, 3]} in [−1, 1]
   * @param prompts the n prompts they were drawn for
   * @return for each image and each of {@link #parts} 1 if it is there, else 0
   * @throws IllegalArgumentException if the number of values is not that of n images
   */
  double[][] of(float[] images, List<String> prompts);

  /** The share of the images in which each part is there. */
  default Map<String, Estimate> shares(double[]... found) {
    Map<String, Estimate> shares = new LinkedHashMap<>();
    for (int part = 0; part < parts().size(); part++) {
      int column = part;
      double right = Arrays.stream(found).mapToDouble(row -> row[column]).sum();
      shares.put(parts().get(part), Estimate.proportion((int) right, found.length));
    }
    return shares;
  }
}
