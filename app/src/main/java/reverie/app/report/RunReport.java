// SPDX-License-Identifier: Apache-2.0
package reverie.app.report;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import reverie.app.data.Estimate;
import reverie.app.data.PngImages;
import reverie.app.files.AtomicFile;
import reverie.app.files.JsonFile;
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
    RunPlots plots = new RunPlots(lines, evaluations);
    plots("Learning", plots.learning());
    plots("What the reward costs", plots.frontier());
    evaluationTable();
    plots("What was not optimised", new WatchedPlots(lines).all());
    plots("Diagnostics", plots.diagnostics());
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
                    100 * (after.mean() - before.mean()) / Math.abs(before.mean()))
                .replace('-', '−');
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
    page.append(Html.image(PngImages.png(before.image()), before.prompt()));
    after.ifPresent(p ->
        page.append("<span>→</span>").append(Html.image(PngImages.png(p.image()), p.prompt())));
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
                      .map(d -> d.getKey() + " " + words(d.getValue()))
                      .toList())
              : words(value);
      page.append(
          String.format(
              Locale.ROOT,
              "<tr><th>%s</th><td>%s</td></tr>",
              Html.escape(entry.getKey()),
              Html.escape(text)));
    }
    page.append("</tbody></table></div></section>");
  }

  private static String words(JsonNode value) {
    return value.isString() ? value.stringValue() : value.toString();
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw AtomicFile.readFailure(file, e);
    }
  }
}
