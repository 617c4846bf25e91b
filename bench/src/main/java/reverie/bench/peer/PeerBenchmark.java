// SPDX-License-Identifier: Apache-2.0
package reverie.bench.peer;

import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.DoubleStream;
import reverie.bench.measure.Ratio;
import reverie.bench.report.PeerResults;
import reverie.bench.step.Kind;
import reverie.bench.step.Subject;

/**
 * Compares whole steps with LibTorch. First every build is tried in every environment and layout;
 * then each build in its fastest way runs beside this engine, in turn, after both were found to
 * compute the same; then each side alone has its memory measured.
 */
public final class PeerBenchmark {
  private final Children children = new Children();
  private final String only;
  private final int rounds;
  private final int threads;
  private final String cpu;
  private final PrintWriter out;

  private record Way(Setting setting, boolean channelsLast, double millis) {
    String title() {
      return (channelsLast ? "channels-last, " : "contiguous, ") + setting.title();
    }
  }

  private record Wanted(Subject subject, Kind kind) {
    String name() {
      return subject.title() + "-" + kind.title();
    }
  }

  /**
   * A comparison.
   *
   * @param only rows whose name contains this
   * @param rounds pairs of times for each row
   * @param cpu the processor's name
   * @param out for progress
   */
  public PeerBenchmark(String only, int rounds, int threads, String cpu, PrintWriter out) {
    this.only = only;
    this.rounds = rounds;
    this.threads = threads;
    this.cpu = cpu;
    this.out = out;
  }

  /** Runs everything; takes minutes. */
  public PeerResults run() {
    List<Wanted> wanted = wanted();
    List<PeerResults.Row> rows = new ArrayList<>();
    List<PeerResults.Accuracy> accuracy = new ArrayList<>();
    for (LibTorch.Build build : LibTorch.Build.values()) {
      for (Wanted row : wanted) {
        rows.add(compare(row, build, fastest(build, row)));
      }
      for (Subject subject : wanted.stream().map(Wanted::subject).distinct().toList()) {
        if (!subject.kinds().contains(Kind.PRETRAINING)) {
          // In float64 a step of millions of weights would take hours.
          continue;
        }
        accuracy.add(accuracy(build, subject));
      }
    }
    return new PeerResults(fastest(rows), rows, accuracy);
  }

  private List<Wanted> wanted() {
    return Arrays.stream(Subject.values())
        .filter(s -> Subject.usual().contains(s) || only.startsWith(s.title()))
        .flatMap(s -> s.kinds().stream().map(k -> new Wanted(s, k)))
        .filter(w -> w.name().contains(only))
        .toList();
  }

  /** For each row the one with the faster library. */
  private static List<PeerResults.Row> fastest(List<PeerResults.Row> rows) {
    return rows.stream()
        .map(PeerResults.Row::name)
        .distinct()
        .map(name ->
            rows.stream()
                .filter(r -> r.name().equals(name))
                .min(Comparator.comparingDouble(PeerResults.Row::ratio))
                .orElseThrow())
        .toList();
  }

  private Way fastest(LibTorch.Build build, Wanted wanted) {
    List<Way> ways = new ArrayList<>();
    for (Setting setting : Setting.of(build)) {
      Task task = task(Task.What.TRIAL, build, wanted.subject, wanted.kind, false);
      for (Task.Trial t : children.run(task, setting.environment()).trials()) {
        Way way = new Way(setting, t.channelsLast(), t.millis());
        say("  tried %s, %s, %s: %.0f ms", build.title(), wanted.name(), way.title(), t.millis());
        ways.add(way);
      }
    }
    return ways.stream().min(Comparator.comparingDouble(Way::millis)).orElseThrow();
  }

  private PeerResults.Row compare(Wanted wanted, LibTorch.Build build, Way way) {
    Map<String, String> environment = way.setting.environment();
    Task.Comparison times =
        children
            .run(
                task(Task.What.COMPARE, build, wanted.subject, wanted.kind, way.channelsLast),
                environment)
            .comparison();
    Ratio ratio = Ratio.of(times.peer(), times.ours());
    double ourPeak =
        peak(task(Task.What.MEMORY, null, wanted.subject, wanted.kind, false), environment);
    double peerPeak =
        peak(
            task(Task.What.MEMORY, build, wanted.subject, wanted.kind, way.channelsLast),
            environment);
    PeerResults.Row row =
        new PeerResults.Row(
            wanted.name(),
            Ratio.median(times.ours()),
            Ratio.median(times.peer()),
            ratio.median(),
            ratio.low(),
            ratio.high(),
            ourPeak,
            peerPeak,
            threads,
            cpu,
            build.title(),
            way.title(),
            times.difference(),
            DoubleStream.of(times.ours()).boxed().toList(),
            DoubleStream.of(times.peer()).boxed().toList());
    say("%s", row.line());
    return row;
  }

  private double peak(Task task, Map<String, String> environment) {
    return children.run(task, environment).peakMegabytes();
  }

  private PeerResults.Accuracy accuracy(LibTorch.Build build, Subject subject) {
    Task.Accuracy a =
        children
            .run(
                task(Task.What.ACCURACY, build, subject, Kind.PRETRAINING, true),
                Setting.PASSIVE.environment())
            .accuracy();
    return new PeerResults.Accuracy(
        subject.title(),
        build.title(),
        a.oursForward(),
        a.peerForward(),
        a.oursGradient(),
        a.peerGradient());
  }

  private Task task(
      Task.What what, LibTorch.Build build, Subject subject, Kind kind, boolean channelsLast) {
    return new Task(what, build, subject, kind, channelsLast, rounds, threads);
  }

  private void say(String format, Object... values) {
    out.println(String.format(Locale.ROOT, format, values));
    out.flush();
  }
}
