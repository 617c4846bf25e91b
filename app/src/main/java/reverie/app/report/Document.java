// SPDX-License-Identifier: Apache-2.0
package reverie.app.report;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import reverie.app.files.AtomicFile;

/**
 * A text with tables and plots that is written twice: as a page that needs nothing else, and as
 * Markdown with its plots beside it.
 */
public final class Document {
  private final String title;
  private final List<Block> blocks = new ArrayList<>();

  private sealed interface Block {
    record Heading(int level, String text) implements Block {}

    record Paragraph(String text) implements Block {}

    record Code(String text) implements Block {}

    record Table(List<String> head, List<List<String>> rows) implements Block {}

    record Plots(String name, List<Plot> plots) implements Block {}
  }

  /** An empty one. */
  public Document(String title) {
    this.title = title;
  }

  /** A heading of level 2 or more. */
  public Document heading(int level, String text) {
    blocks.add(new Block.Heading(level, text));
    return this;
  }

  /** A paragraph of plain text. */
  public Document paragraph(String text) {
    if (!text.isBlank()) {
      blocks.add(new Block.Paragraph(text.strip()));
    }
    return this;
  }

  /** Lines as they are. */
  public Document code(String text) {
    blocks.add(new Block.Code(text));
    return this;
  }

  /** A table of plain text. */
  public Document table(List<String> head, List<List<String>> rows) {
    blocks.add(new Block.Table(head, rows));
    return this;
  }

  /**
   * Plots side by side.
   *
   * @param name the beginning of their files' names
   */
  public Document plots(String name, List<Plot> plots) {
    List<Plot> drawn = plots.stream().filter(plot -> !plot.isEmpty()).toList();
    if (!drawn.isEmpty()) {
      blocks.add(new Block.Plots(name, drawn));
    }
    return this;
  }

  /** The page. */
  public String toHtml() {
    StringBuilder page = new StringBuilder(Html.begin(title));
    for (Block block : blocks) {
      switch (block) {
        case Block.Heading(int level, String text) ->
            page.append(
                String.format(Locale.ROOT, "<h%d>%s</h%d>", level, Html.escape(text), level));
        case Block.Paragraph(String text) ->
            page.append("<p>").append(Html.escape(text)).append("</p>");
        case Block.Code(String text) ->
            page.append("<pre>").append(Html.escape(text)).append("</pre>");
        case Block.Table(List<String> head, List<List<String>> rows) -> table(page, head, rows);
        case Block.Plots(String _, List<Plot> plots) -> {
          page.append("<div class=\"plots\">");
          plots.forEach(plot -> page.append(plot.toSvg()));
          page.append("</div>");
        }
      }
      page.append('\n');
    }
    return page.append(Html.END).toString();
  }

  private static void table(StringBuilder page, List<String> head, List<List<String>> rows) {
    page.append("<div class=\"wide\"><table><thead><tr>");
    head.forEach(cell -> page.append("<th>").append(Html.escape(cell)).append("</th>"));
    page.append("</tr></thead><tbody>");
    for (List<String> row : rows) {
      page.append("<tr>");
      row.forEach(cell -> page.append("<td>").append(Html.escape(cell)).append("</td>"));
      page.append("</tr>");
    }
    page.append("</tbody></table></div>");
  }

  /**
   * The Markdown.
   *
   * @param folder where its plots are written
   */
  public String toMarkdown(Path folder) {
    StringBuilder text = new StringBuilder("# " + title + "\n");
    for (Block block : blocks) {
      text.append('\n');
      switch (block) {
        case Block.Heading(int level, String heading) ->
            text.append("#".repeat(level)).append(' ').append(heading).append('\n');
        case Block.Paragraph(String paragraph) -> text.append(paragraph).append('\n');
        case Block.Code(String code) -> text.append("```\n").append(code).append("\n```\n");
        case Block.Table(List<String> head, List<List<String>> rows) -> {
          text.append(row(head)).append(row(head.stream().map(_ -> "---").toList()));
          rows.forEach(cells -> text.append(row(cells)));
        }
        case Block.Plots(String name, List<Plot> plots) -> {
          for (int i = 0; i < plots.size(); i++) {
            String file = String.format(Locale.ROOT, "%s-%d.svg", name, i + 1);
            AtomicFile.writeText(folder.resolve(file), plots.get(i).toSvgFile());
            text.append(String.format(Locale.ROOT, "![%s](%s)\n", plots.get(i).title(), file));
          }
        }
      }
    }
    return text.toString();
  }

  private static String row(List<String> cells) {
    return "| "
        + String.join(" | ", cells.stream().map(cell -> cell.replace("|", "\\|")).toList())
        + " |\n";
  }
}
