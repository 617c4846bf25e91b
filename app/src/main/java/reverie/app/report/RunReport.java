// SPDX-License-Identifier: Apache-2.0
package reverie.app.report;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import reverie.app.data.Estimate;
import reverie.app.data.Images;
import reverie.app.run.AtomicFile;
import reverie.app.run.JsonFile;
import reverie.app.run.Metrics;
import reverie.app.run.RunFolder;
import tools.jackson.databind.JsonNode;

/**
 * Turns a run folder into {@code report.html}: one file that needs nothing else, on a screen, a
 * phone or paper.
 *
 * <p>It is made only from what the folder holds, so it can be made at any time, of a run that goes
 * on or was cut off too, and shows whatever is there already.
 */
public final class RunReport {
  /** The file's name in the run folder. */
  public static final String FILE = "report.html";

  /** Beginning of the names of rewards that are measured and not optimised. */
  public static final String WATCHED = "watched/";

  private static final int MAX_IMAGES = 48;
  private static final Set<String> COUNTERS = Set.of("updates", "reward_queries", "run_seconds");
  private static final Pattern PART = Pattern.compile("(.+)_(min|q25|median|mean|q75|max|seconds)");

  private final Path folder;
  private final List<Metrics.Line> lines;
  private final List<EvaluationPoint> evaluations;
  private final StringBuilder page = new StringBuilder();

  private RunReport(Path folder) {
    this.folder = folder;
    lines = Metrics.read(folder);
    evaluations = lines.stream().map(EvaluationPoint::of).flatMap(Optional::stream).toList();
  }

  /**
   * Writes the report.
   *
   * @param runFolder the run folder
   * @param title what the run did, in a few words
   * @return the file
   */
  public static Path write(Path runFolder, String title) {
    Path file = runFolder.resolve(FILE);
    AtomicFile.writeText(file, new RunReport(runFolder).toHtml(title));
    return file;
  }

  private String toHtml(String title) {
    page.append(Html.begin(title));
    headline();
    galleries();
    plots("Learning", rewardCurve());
    plots("What the reward costs", frontier());
    evaluationTable();
    plots("What was not optimised", new WatchedPlots(lines).all());
    plots("Diagnostics", diagnostics());
    file("Command", RunFolder.COMMAND);
    file("Configuration", RunFolder.CONFIG);
    environment();
    return page.append(Html.END).toString();
  }

  private void headline() {
    Summary.read(folder)
        .ifPresent(summary -> {
          page.append("<section class=\"cards\">");
          change(
              "Reward, training prompts",
              summary.rewardBefore(),
              summary.rewardAfter(),
              summary.rewardChange(),
              summary.naturalZero());
          change(
              "Reward, held-out prompts",
              summary.heldoutBefore(),
              summary.heldoutAfter(),
              summary.heldoutChange(),
              summary.naturalZero());
          change(
              "Still recognised", summary.retrievalBefore(), summary.retrievalAfter(), null, false);
          card(
              "Cost",
              String.format(Locale.ROOT, "%.1f min", summary.seconds() / 60),
              String.format(
                  Locale.ROOT,
                  "%,d images scored, %,.0f MB",
                  summary.rewardQueries(),
                  summary.peakRssMb()));
          page.append("</section>");
        });
  }

  private void change(
      String name, Estimate before, Estimate after, Estimate difference, boolean naturalZero) {
    if (before.n() == 0) {
      return;
    }
    boolean share = name.startsWith("Still");
    String percent =
        share || !naturalZero || before.mean() == 0
            ? ""
            : String.format(
                Locale.ROOT,
                " (%+.0f %%)",
                100 * (after.mean() - before.mean()) / Math.abs(before.mean()));
    card(
        name,
        String.format(Locale.ROOT, "%s → %s%s", mean(before, share), mean(after, share), percent),
        String.format(
            Locale.ROOT,
            "95 %% intervals %s and %s%s, n = %d",
            interval(before, share),
            interval(after, share),
            difference == null || difference.n() == 0
                ? ""
                : "; of the difference on the same images " + interval(difference, false),
            after.n()));
  }

  private void card(String name, String value, String detail) {
    page.append(
        String.format(
            Locale.ROOT,
            "<div class=\"card\"><h3>%s</h3><p class=\"value\">%s</p><p"
                + " class=\"detail\">%s</p></div>",
            Html.escape(name),
            Html.escape(value),
            Html.escape(detail)));
  }

  private static String mean(Estimate estimate, boolean share) {
    return share
        ? String.format(Locale.ROOT, "%.0f %%", 100 * estimate.mean())
        : figure(estimate.mean());
  }

  private static String interval(Estimate estimate, boolean share) {
    return share
        ? String.format(Locale.ROOT, "%.0f–%.0f %%", 100 * estimate.low(), 100 * estimate.high())
        : String.format(Locale.ROOT, "[%s, %s]", figure(estimate.low()), figure(estimate.high()));
  }

  /** Four figures, without an exponent where one can do without, and with a true minus. */
  private static String figure(double value) {
    double size = Math.abs(value);
    String text =
        size != 0 && (size < 1e-3 || size >= 1e7)
            ? String.format(Locale.ROOT, "%.3g", value)
            : String.format(Locale.ROOT, size >= 100 ? "%.1f" : size >= 1 ? "%.2f" : "%.4f", value);
    return text.replace('-', '−');
  }

  private void galleries() {
    for (String name : galleryNames()) {
      Gallery gallery = Gallery.read(folder, name).orElseThrow();
      if (name.endsWith(Gallery.AFTER)) {
        continue;
      }
      String subject = name.endsWith(Gallery.BEFORE) ? name.substring(0, name.length() - 7) : name;
      Optional<Gallery> after =
          name.endsWith(Gallery.BEFORE)
              ? Gallery.read(folder, subject + Gallery.AFTER)
              : Optional.empty();
      page.append("<section><h2>").append(Html.escape(heading(subject))).append("</h2>");
      page.append(after.isPresent() ? "<p>Before → after, from equal seeds.</p>" : "");
      page.append("<div class=\"gallery\">");
      for (int i = 0; i < Math.min(MAX_IMAGES, gallery.items().size()); i++) {
        int at = i;
        figure(
            gallery.items().get(i),
            after.filter(g -> at < g.items().size()).map(g -> g.items().get(at)));
      }
      page.append("</div></section>");
    }
  }

  private void figure(Gallery.Item before, Optional<Gallery.Item> after) {
    page.append("<figure><div class=\"pair\">");
    page.append(Html.image(Images.png(before.image()), before.prompt()));
    after.ifPresent(
        p -> page.append("<span>→</span>").append(Html.image(Images.png(p.image()), p.prompt())));
    page.append("</div><figcaption>").append(Html.escape(before.prompt()));
    String notes = after.map(p -> before.note() + " → " + p.note()).orElse(before.note());
    if (!before.note().isEmpty()) {
      page.append("<small>").append(Html.escape(notes)).append("</small>");
    }
    page.append("</figcaption></figure>");
  }

  private List<String> galleryNames() {
    Path images = folder.resolve("images");
    if (!Files.isDirectory(images)) {
      return List.of();
    }
    try (Stream<Path> folders = Files.list(images)) {
      // Training prompts before held-out ones, later samples before earlier ones.
      return folders
          .map(path -> path.getFileName().toString())
          .filter(name -> Gallery.read(folder, name).isPresent())
          .sorted((a, b) -> b.compareTo(a))
          .toList();
    } catch (IOException e) {
      throw AtomicFile.readFailure(images, e);
    }
  }

  private static String heading(String name) {
    String words = name.replace('-', ' ').replace("heldout", "held-out");
    String subject = Character.toUpperCase(words.charAt(0)) + words.substring(1);
    return name.equals("training") || name.equals("heldout") ? subject + " prompts" : subject;
  }

  private List<Plot> rewardCurve() {
    List<Plot.Point> training = new ArrayList<>();
    List<Plot.Point> heldout = new ArrayList<>();
    List<Plot.Point> retrieval = new ArrayList<>();
    for (EvaluationPoint point : evaluations) {
      training.add(point(point.epoch(), point.reward(), ""));
      heldout.add(point(point.epoch(), point.heldout(), ""));
      retrieval.add(point(point.epoch(), point.retrieval(), ""));
    }
    return List.of(
        new Plot(
            "Reward on fixed prompts and seeds",
            "epoch",
            "reward, 95 % interval",
            List.of(
                new Plot.Series("training", training, false),
                new Plot.Series("held-out", heldout, false))),
        new Plot(
            "Recognised: nearest real image has the first word",
            "epoch",
            "share",
            List.of(new Plot.Series("training", retrieval, false))));
  }

  private List<Plot> frontier() {
    List<Plot.Point> againstRetrieval = new ArrayList<>();
    List<Plot.Point> againstKl = new ArrayList<>();
    for (EvaluationPoint point : evaluations) {
      String label = Integer.toString(point.epoch());
      againstRetrieval.add(point(point.retrieval().mean(), point.reward(), label));
      againstKl.add(point(point.klToBase(), point.reward(), label));
    }
    return List.of(
        new Plot(
            "Reward against being recognised, by epoch",
            "share recognised",
            "reward",
            List.of(new Plot.Series("", againstRetrieval, true))),
        new Plot(
            "Reward against distance from the base, by epoch",
            "KL to the base model",
            "reward",
            List.of(new Plot.Series("", againstKl, true))));
  }

  private static Plot.Point point(double x, Estimate y, String label) {
    return new Plot.Point(x, y.mean(), y.low(), y.high(), label);
  }

  private void evaluationTable() {
    if (evaluations.isEmpty()) {
      return;
    }
    page.append("<section><h2>Evaluations</h2><div class=\"wide\"><table><thead><tr>");
    for (String head : List.of("epoch", "reward", "held-out reward", "recognised", "KL to base")) {
      page.append("<th>").append(head).append("</th>");
    }
    page.append("</tr></thead><tbody>");
    for (EvaluationPoint point : evaluations) {
      page.append(
          String.format(
              Locale.ROOT,
              "<tr><td>%d</td><td>%s</td><td>%s</td><td>%s</td><td>%s</td></tr>",
              point.epoch(),
              cell(point.reward(), false),
              cell(point.heldout(), false),
              cell(point.retrieval(), true),
              Double.isNaN(point.klToBase()) ? "–" : figure(point.klToBase())));
    }
    page.append("</tbody></table></div></section>");
  }

  private static String cell(Estimate estimate, boolean share) {
    return Double.isNaN(estimate.mean())
        ? "–"
        : String.format(
            Locale.ROOT, "%s <small>%s</small>", mean(estimate, share), interval(estimate, share));
  }

  /** A plot for every other number; minimum, quartiles and maximum of one thing share theirs. */
  private List<Plot> diagnostics() {
    Set<String> names = new LinkedHashSet<>();
    lines.forEach(line -> names.addAll(line.values().keySet()));
    names.removeIf(name ->
        name.startsWith(EvaluationPoint.PREFIX)
            || name.startsWith(WATCHED)
            || COUNTERS.contains(name));
    Map<String, List<Plot.Series>> plots = new LinkedHashMap<>();
    for (String name : names) {
      List<Plot.Point> points =
          lines.stream()
              .filter(line -> line.values().containsKey(name))
              .map(line -> Plot.Point.of(line.step(), line.values().get(name)))
              .toList();
      if (points.size() > 1) {
        Matcher part = PART.matcher(name);
        String title =
            !part.matches() ? name : name.endsWith("seconds") ? "seconds" : part.group(1);
        String label =
            !part.matches() ? name : title.equals("seconds") ? part.group(1) : part.group(2);
        plots
            .computeIfAbsent(title, _ -> new ArrayList<>())
            .add(new Plot.Series(label, points, false));
      }
    }
    String axis = evaluations.isEmpty() ? "step" : "epoch";
    return plots.entrySet().stream()
        .map(entry -> new Plot(entry.getKey(), axis, "", entry.getValue()))
        .toList();
  }

  private void plots(String heading, List<Plot> plots) {
    List<Plot> drawn = plots.stream().filter(plot -> !plot.isEmpty()).toList();
    if (drawn.isEmpty()) {
      return;
    }
    page.append("<section><h2>").append(Html.escape(heading)).append("</h2><div class=\"plots\">");
    drawn.forEach(plot -> page.append(plot.toSvg()));
    page.append("</div></section>");
  }

  private void file(String heading, String name) {
    Path file = folder.resolve(name);
    if (Files.exists(file)) {
      page.append("<section><h2>").append(heading).append("</h2><pre>");
      page.append(Html.escape(read(file).strip())).append("</pre></section>");
    }
  }

  private void environment() {
    Path file = folder.resolve(RunFolder.VERSIONS);
    if (!Files.exists(file)) {
      return;
    }
    page.append("<section><h2>Environment</h2><div class=\"wide\"><table><tbody>");
    for (Map.Entry<String, JsonNode> entry :
        JsonFile.readObject(file, "delete it; the report does without").properties()) {
      JsonNode value = entry.getValue();
      String text =
          value.isObject()
              ? String.join(
                  ", ",
                  value.properties().stream()
                      .map(d -> d.getKey() + " " + d.getValue().asString())
                      .toList())
              : value.asString();
      page.append(
          String.format(
              Locale.ROOT,
              "<tr><th>%s</th><td>%s</td></tr>",
              Html.escape(entry.getKey()),
              Html.escape(text)));
    }
    page.append("</tbody></table></div></section>");
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw AtomicFile.readFailure(file, e);
    }
  }
}
