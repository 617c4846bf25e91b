// SPDX-License-Identifier: Apache-2.0
package reverie.app.choose;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The page in a real browser. */
@Timeout(300)
class ChoicePageTest {
  @TempDir Path folder;

  @Test
  void choicesAreMadeByKeyboardAndByPointer() throws Exception {
    Optional<String> chromium = Browser.executable();
    assumeTrue(chromium.isPresent(), "there is no chromium on the PATH");
    ImagePairs pairs = ChoiceServerTest.pairs(folder, "a red cat", "the <b>sea</b>", "a dog", "x");
    Path profile = Files.createDirectories(folder.resolve("profile"));
    try (ChoiceServer server = new ChoiceServer(pairs, "127.0.0.1", 0);
        Browser browser = new Browser(chromium.get(), profile, server.address())) {
      String prompt = "document.getElementById('prompt').textContent";
      String count = "document.getElementById('count').textContent";
      browser.await(prompt, "a red cat");
      browser.await("document.getElementById('image1').naturalWidth", "16");
      assertEquals("0 of 4", browser.value(count));
      assertEquals("true", browser.value("document.getElementById('undo').disabled"));
      browser.press("ArrowRight");
      browser.await(count, "1 of 4");
      assertEquals("the <b>sea</b>", browser.value(prompt));
      browser.press("ArrowLeft");
      browser.await(count, "2 of 4");
      browser.press("u");
      browser.await(count, "1 of 4");
      assertEquals("the <b>sea</b>", browser.value(prompt));
      browser.press(" ");
      browser.await(count, "2 of 4");
      browser.value("document.getElementById('left').click()");
      browser.await(count, "3 of 4");
      assertEquals("0.75", browser.value("document.getElementById('bar').position"));
      looks(browser);
      browser.value("document.getElementById('second').click()");
      browser.await("document.getElementById('end').hidden", "false");
      assertEquals("true", browser.value("document.getElementById('left').hidden"));
      assertEquals(
          List.of("1", "null", "0", "1"),
          Files.readAllLines(folder.resolve(ChoiceLog.FILE)).stream()
              .map(line -> line.replaceAll(".*\"choice\":(\\w+).*", "$1"))
              .toList());
      // Nothing comes from elsewhere, and nothing is written without the server.
      assertEquals(
          "true",
          browser.value(
              "performance.getEntriesByType('resource').every(e => e.name.startsWith(location.origin))"));
    }
  }

  /** Fits screens of all sizes, in light and dark; {@code -Dreverie.screenshots} keeps pictures. */
  private static void looks(Browser browser) throws Exception {
    String kept = System.getProperty("reverie.screenshots");
    for (boolean dark : new boolean[] {false, true}) {
      for (int[] size : new int[][] {{1200, 800}, {390, 844}, {320, 568}}) {
        browser.appear(size[0], size[1], size[0] < 1000, dark);
        String name = size[0] + (dark ? "-dark" : "-light");
        assertEquals(
            dark ? "rgb(18, 22, 28)" : "rgb(255, 255, 255)",
            browser.value("getComputedStyle(document.body).backgroundColor"),
            name);
        // No scroll bars, and both images and all buttons in sight.
        String fits =
            "document.documentElement.scrollWidth <= innerWidth && [...document.querySelectorAll("
                + "'button:not([hidden])')].every(b => { const r = b.getBoundingClientRect();"
                + " return r.width > 40 && r.height > 20 && r.left >= 0 && r.top >= 0"
                + " && r.right <= innerWidth + 1 && r.bottom <= innerHeight + 1; })";
        assertEquals("true", browser.value(fits), name);
        if (kept != null) {
          browser.screenshot(Path.of(kept, name + ".png"));
        }
      }
    }
    assertTrue(browser.value("document.getElementById('said').textContent").isEmpty());
  }
}
