// SPDX-License-Identifier: Apache-2.0
package reverie.app.report;

import java.util.Base64;

/** The few things every piece of HTML needs. */
final class Html {
  private Html() {}

  static String escape(String text) {
    return text.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace("\"", "&quot;");
  }

  /** An image inside the page. */
  static String image(byte[] png, String description) {
    return "<img alt=\"%s\" src=\"data:image/png;base64,%s\">"
        .formatted(escape(description), Base64.getEncoder().encodeToString(png));
  }
}
