// SPDX-License-Identifier: Apache-2.0
package reverie.app.run;

import java.io.PrintStream;
import java.time.Duration;
import java.util.Locale;
import java.util.function.LongSupplier;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;

/**
 * Shows how far a piece of work is, how fast it goes and how long it will take.
 *
 * <p>On a terminal a bar that redraws itself; elsewhere (a log file, CI) a plain line every {@link
 * #INTERVAL} and one at the end.
 */
public final class Progress implements AutoCloseable {
  static final Duration INTERVAL = Duration.ofSeconds(10);

  private final String task;
  private final String unit;
  private final long total;
  private final PrintStream out;
  private final LongSupplier nanoTime;
  private final long started;
  private final ProgressBar bar;
  private final long before;
  private long done;
  private long printed;
  private long shown = -1;
  private String note = "";

  Progress(
      String task,
      String unit,
      long total,
      long done,
      PrintStream out,
      boolean terminal,
      LongSupplier nanoTime) {
    this.task = task;
    this.unit = unit;
    this.total = total;
    this.before = done;
    this.done = done;
    this.out = out;
    this.nanoTime = nanoTime;
    started = nanoTime.getAsLong();
    printed = started;
    bar = terminal ? newBar() : null;
  }

  /**
   * Begins to show progress on the standard output.
   *
   * @param task what is being done, for example "pretraining"
   * @param unit what is counted, for example "steps"
   * @param total how many of them there are
   * @return the display; close it at the end
   */
  public static Progress start(String task, String unit, long total) {
    return start(task, unit, total, 0);
  }

  /**
   * Begins to show progress of work of which a part was done before, by another process.
   *
   * @param task what is being done
   * @param unit what is counted
   * @param total how many of them there are
   * @param done how many of them are done already
   * @return the display; close it at the end
   */
  public static Progress start(String task, String unit, long total, long done) {
    return new Progress(task, unit, total, done, System.out, isTerminal(), System::nanoTime);
  }

  /**
   * Whether the user sits at a terminal.
   *
   * @return true when input and output are one
   */
  public static boolean isTerminal() {
    return System.console() != null && System.console().isTerminal();
  }

  /**
   * Some more is done.
   *
   * @param count how many units
   */
  public synchronized void advance(long count) {
    advanceTo(done + count);
  }

  /**
   * So much is done.
   *
   * @param count how many units since the beginning
   */
  public synchronized void advanceTo(long count) {
    done = count;
    if (bar != null) {
      bar.stepTo(count);
      return;
    }
    long now = nanoTime.getAsLong();
    if (now - printed >= INTERVAL.toNanos()) {
      print(now);
    }
  }

  private void print(long now) {
    printed = now;
    shown = done;
    out.println(line(now));
    out.flush();
  }

  /**
   * What to show beside the numbers.
   *
   * @param text a few words, for example "loss 0.034"
   */
  public synchronized void note(String text) {
    note = PlainText.of(text);
    if (bar != null) {
      bar.setExtraMessage(" " + note);
    }
  }

  @Override
  public synchronized void close() {
    if (bar != null) {
      bar.close();
    } else if (shown != done) {
      print(nanoTime.getAsLong());
    }
  }

  private String line(long now) {
    double seconds = (now - started) * 1e-9;
    double rate = seconds > 0 ? (done - before) / seconds : 0;
    StringBuilder line = new StringBuilder();
    line.append(
        String.format(
            Locale.ROOT,
            "%s: %d/%d %s (%d%%), %s",
            task,
            done,
            total,
            unit,
            percent(),
            time(seconds)));
    if (rate > 0) {
      line.append(String.format(Locale.ROOT, ", %.3g %s/s", rate, unit));
      if (done < total) {
        line.append(", ").append(time((total - done) / rate)).append(" left");
      }
    }
    return (note.isEmpty() ? line : line.append(", ").append(note)).toString();
  }

  private long percent() {
    return total == 0 ? 100 : 100 * done / total;
  }

  /** Seconds as {@code 7s}, {@code 3m07s} or {@code 2h03m}. */
  static String time(double seconds) {
    long whole = Math.round(seconds);
    if (whole < 60) {
      return whole + "s";
    }
    return whole < 3600
        ? String.format(Locale.ROOT, "%dm%02ds", whole / 60, whole % 60)
        : String.format(Locale.ROOT, "%dh%02dm", whole / 3600, whole % 3600 / 60);
  }

  private ProgressBar newBar() {
    return new ProgressBarBuilder()
        .setTaskName(task)
        .setInitialMax(total)
        .startsFrom(before, Duration.ZERO)
        .setUnit(" " + unit, 1)
        .setStyle(ProgressBarStyle.UNICODE_BLOCK)
        .showSpeed()
        .setUpdateIntervalMillis(200)
        .build();
  }
}
