// SPDX-License-Identifier: Apache-2.0
package reverie.bench.peer;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import reverie.tensor.ReverieException;

/**
 * TorchScript of a model, line by line. Parameters come in one list {@code p}, in the order of
 * their names here and with the axes of files.
 */
final class LayerText {
  private final Map<String, Integer> indices = new LinkedHashMap<>();
  private final StringBuilder text = new StringBuilder();
  private final int groups;

  /**
   * Nothing yet.
   *
   * @param names of the parameters, in the order of the list
   * @param groups of group normalisation
   */
  LayerText(List<String> names, int groups) {
    names.forEach(name -> indices.put(name, indices.size()));
    this.groups = groups;
  }

  /** Adds lines as they are. */
  void add(String lines) {
    text.append(lines);
  }

  /** Adds a statement of a method. */
  void line(String format, Object... values) {
    text.append("  ").append(String.format(Locale.ROOT, format, values)).append('\n');
  }

  String conv(String x, String at, int stride, int padding) {
    return String.format(
        Locale.ROOT,
        "torch.conv2d(%s, %s, [%d, %d], [%d, %d], [1, 1], 1)",
        x,
        weightAndBias(at),
        stride,
        stride,
        padding,
        padding);
  }

  String groupNorm(String x, String at, double epsilon) {
    return String.format(
        Locale.ROOT,
        "torch.group_norm(%s, %d, %s, %s, True)",
        x,
        groups,
        weightAndBias(at),
        epsilon);
  }

  String layerNorm(String x, String at, int channels) {
    return String.format(
        Locale.ROOT, "torch.layer_norm(%s, [%d], %s, 1e-5, True)", x, channels, weightAndBias(at));
  }

  String weightAndBias(String at) {
    return weight(at + ".weight") + ", " + weight(at + ".bias");
  }

  String weight(String name) {
    Integer index = indices.get(name);
    if (index == null) {
      throw new ReverieException("peer: the model has no parameter " + name);
    }
    return "p[" + index + "]";
  }

  /** Whether there is such a parameter. */
  boolean has(String name) {
    return indices.containsKey(name);
  }

  @Override
  public String toString() {
    return text.toString();
  }
}
