// SPDX-License-Identifier: Apache-2.0
package reverie.bench.report;

import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;

/** Results as tables in Markdown, which are also what the terminal shows. */
public final class Tables {
  private Tables() {}

  /** The comparison with LibTorch: steps, memory, accuracy. */
  public static String peers(PeerResults results) {
    return String.join(
        "\n",
        table(
            List.of("step", "ours", "LibTorch", "ratio", "95 %", "memory", "LibTorch", "peer"),
            results.rows().stream().map(Tables::cells).toList()),
        table(
            List.of("model", "library", "output: ours", "its", "gradient: ours", "its"),
            results.accuracy().stream()
                .map(a ->
                    List.of(
                        a.model(),
                        a.peer(),
                        text("%.1e", a.oursForward()),
                        text("%.1e", a.peerForward()),
                        text("%.1e", a.oursGradient()),
                        text("%.1e", a.peerGradient())))
                .toList()));
  }

  private static List<String> cells(PeerResults.Row row) {
    return List.of(
        row.name(),
        text("%.1f ms", row.oursMs()),
        text("%.1f ms", row.peerMs()),
        text("%.2f×", row.ratio()),
        text("%.2f–%.2f", row.ratioLow(), row.ratioHigh()),
        text("%.0f MB", row.oursPeakMb()),
        text("%.0f MB", row.peerPeakMb()),
        row.peer() + ", " + row.variant());
  }

  /** A table; columns are as wide as their widest cell. */
  public static String table(List<String> head, List<List<String>> rows) {
    int[] widths = new int[head.size()];
    for (int i = 0; i < widths.length; i++) {
      int column = i;
      widths[i] =
          Math.max(
              3,
              Math.max(
                  head.get(i).length(),
                  rows.stream().mapToInt(r -> r.get(column).length()).max().orElse(0)));
    }
    StringBuilder out = new StringBuilder(line(head, widths));
    out.append('|');
    for (int width : widths) {
      out.append("-".repeat(width + 2)).append('|');
    }
    out.append('\n');
    rows.forEach(row -> out.append(line(row, widths)));
    return out.toString();
  }

  private static String line(List<String> cells, int... widths) {
    return java.util.stream.IntStream.range(0, widths.length)
        .mapToObj(i -> cells.get(i) + " ".repeat(widths[i] - cells.get(i).length()))
        .collect(Collectors.joining(" | ", "| ", " |\n"));
  }

  static String text(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }
}
