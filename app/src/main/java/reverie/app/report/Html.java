// SPDX-License-Identifier: Apache-2.0
package reverie.app.report;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Locale;

/** The few things every piece of HTML needs. */
final class Html {
  /** The end of a page. */
  static final String END = "</body></html>\n";

  private Html() {}

  /** The beginning of a page that needs nothing else, up to its first heading. */
  static String begin(String title) {
    return "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
        + "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
        + String.format(
            Locale.ROOT,
            "<title>%s</title><style>%s</style></head><body><h1>%s</h1>",
            escape(title),
            css(),
            escape(title));
  }

  /** The style of pages and plots. */
  static String css() {
    try (InputStream in = Html.class.getResourceAsStream("report.css")) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8).replaceAll("\\s*\n\\s*", " ");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static String escape(String text) {
    return text.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace("\"", "&quot;");
  }

  /** An image inside the page. */
  static String image(byte[] png, String description) {
    return String.format(
        Locale.ROOT,
        "<img alt=\"%s\" src=\"data:image/png;base64,%s\">",
        escape(description),
        Base64.getEncoder().encodeToString(png));
  }
}
