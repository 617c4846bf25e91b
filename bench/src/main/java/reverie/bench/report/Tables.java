// SPDX-License-Identifier: Apache-2.0
package reverie.bench.report;

import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import reverie.tensor.debug.Profile;

/** Results as tables in Markdown, which are also what the terminal shows. */
public final class Tables {
  /** What takes less of a step is not shown. */
  private static final double MIN_SHARE = 0.005;

  private Tables() {}

  /** Steps beside LibTorch. */
  public static String steps(List<PeerResults.Row> rows) {
    return table(
        List.of("step", "ours", "LibTorch", "ratio", "95 %", "LibTorch's build and fastest way"),
        rows.stream()
            .map(row ->
                List.of(
                    row.name(),
                    text("%.1f ms", row.oursMs()),
                    text("%.1f ms", row.peerMs()),
                    text("%.2f×", row.ratio()),
                    text("%.2f–%.2f", row.ratioLow(), row.ratioHigh()),
                    row.peer() + ", " + row.variant()))
            .toList());
  }

  /** Peak memory of steps beside LibTorch. */
  public static String memory(List<PeerResults.Row> rows) {
    return table(
        List.of("step", "ours", "LibTorch", "ours / LibTorch"),
        rows.stream()
            .map(row ->
                List.of(
                    row.name(),
                    text("%.0f MB", row.oursPeakMb()),
                    text("%.0f MB", row.peerPeakMb()),
                    text("%.2f", row.oursPeakMb() / row.peerPeakMb())))
            .toList());
  }

  /** Errors against float64. */
  public static String accuracy(List<PeerResults.Accuracy> rows) {
    return table(
        List.of("model", "output: ours", "LibTorch", "gradient: ours", "LibTorch", "build"),
        rows.stream()
            .map(a ->
                List.of(
                    a.model(),
                    text("%.1e", a.oursForward()),
                    text("%.1e", a.peerForward()),
                    text("%.1e", a.oursGradient()),
                    text("%.1e", a.peerGradient()),
                    a.peer()))
            .toList());
  }

  /** Single operations. */
  public static String operations(List<OperationRow> rows) {
    return table(
        List.of("operation", "µs", "±", "GFLOP/s", "GB/s", "share of the limit"),
        rows.stream()
            .map(r ->
                List.of(
                    r.label(),
                    text("%.1f", r.micros()),
                    text("%.1f", r.error()),
                    text("%.1f", r.gflops()),
                    text("%.1f", r.gigabytes()),
                    text("%.0f %%", 100 * r.share())))
            .toList());
  }

  /** Where the time of a step goes. */
  public static String profile(Profiled profiled) {
    double total = profiled.operations().stream().mapToDouble(OperationRow::micros).sum();
    return table(
        List.of("operation", "count", "ms", "of the step", "GFLOP/s", "GB/s", "share of the limit"),
        profiled.operations().stream()
            .filter(r -> r.micros() > MIN_SHARE * total)
            .map(r ->
                List.of(
                    r.label(),
                    r.count() + "",
                    text("%.2f", r.micros() / 1e3),
                    text("%.1f %%", 100 * r.micros() / total),
                    text("%.1f", r.gflops()),
                    text("%.1f", r.gigabytes()),
                    text("%.0f %%", 100 * r.share())))
            .toList());
  }

  /** Where the time of a step on a CUDA device goes. */
  public static String operationsOfAStep(List<Profile.Row> rows) {
    double all = rows.stream().mapToLong(Profile.Row::nanos).sum();
    return table(
        List.of("operation", "count", "ms", "of the step", "TFLOP/s", "TB/s"),
        rows.stream()
            .map(r ->
                List.of(
                    r.operation(),
                    r.count() + "",
                    text("%.3f", r.nanos() / 1e6),
                    text("%.1f %%", 100 * r.nanos() / all),
                    text("%.1f", r.flops() / r.nanos() / 1e3),
                    text("%.2f", r.bytes() / r.nanos() / 1e3)))
            .toList());
  }

  /** What steps ask of a CUDA device. */
  public static String counts(List<Counted> rows) {
    return sums(
        List.of("step", "floor", "moved", "memory"),
        rows,
        Counted::total,
        row ->
            List.of(
                row.name(),
                text("%.3f GB", row.floor() / 1e9),
                text("%.2f×", row.timesFloor()),
                text("%.1f GB", row.memory() / 1e9)));
  }

  /** What a step asks of a CUDA device, by kernel. */
  public static String kernels(Counted row) {
    return sums(List.of("kernel"), row.kernels(), s -> s, s -> List.of(s.kernel()));
  }

  /** Sums with a column before them and those that follow. */
  private static <T> String sums(
      List<String> around,
      List<T> rows,
      Function<T, Counted.Sum> sum,
      Function<T, List<String>> cells) {
    List<String> head = List.of("nodes", "read", "written", "TFLOP FP32", "TF32", "bf16", "ms");
    return table(
        inserted(around, head),
        rows.stream()
            .map(row -> {
              Counted.Sum s = sum.apply(row);
              return inserted(
                  cells.apply(row),
                  List.of(
                      s.nodes() + "",
                      text("%.3f GB", s.read() / 1e9),
                      text("%.3f GB", s.written() / 1e9),
                      text("%.3f", s.float32() / 1e12),
                      text("%.3f", s.tf32() / 1e12),
                      text("%.3f", s.bf16() / 1e12),
                      text("%.2f", s.millis())));
            })
            .toList());
  }

  /** Some after the first of others. */
  private static List<String> inserted(List<String> around, List<String> some) {
    return Stream.of(around.subList(0, 1), some, around.subList(1, around.size()))
        .flatMap(List::stream)
        .toList();
  }

  /** How steps grow. */
  public static String scaling(List<ScalingRow> rows) {
    return table(
        List.of("changed", "to", "step", "ms", "ms a sample"),
        rows.stream()
            .map(r ->
                List.of(
                    r.what(),
                    r.value(),
                    r.step(),
                    text("%.1f", r.millis()),
                    text("%.2f", r.perSample())))
            .toList());
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
    return IntStream.range(0, widths.length)
        .mapToObj(i -> cells.get(i) + " ".repeat(widths[i] - cells.get(i).length()))
        .collect(Collectors.joining(" | ", "| ", " |\n"));
  }

  static String text(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }
}
