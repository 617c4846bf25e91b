// SPDX-License-Identifier: Apache-2.0
package reverie.app.reward;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Base64;
import java.util.Locale;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class ResizeTest {
  /** What resize.py beside it wrote with Pillow. */
  @Test
  void bytesArePillows() {
    JsonNode vectors =
        JsonMapper.shared().readTree(ResizeTest.class.getResourceAsStream("resize.json"));
    byte[] pixels = Base64.getDecoder().decode(vectors.get("pixels").stringValue());
    int height = vectors.get("height").intValue();
    int width = vectors.get("width").intValue();
    assertEquals(18, vectors.get("cases").size());
    for (JsonNode each : vectors.get("cases")) {
      Resize filter = Resize.valueOf(each.get("filter").stringValue().toUpperCase(Locale.ROOT));
      byte[] resized =
          filter.apply(
              pixels,
              height,
              width,
              3,
              each.get("height").intValue(),
              each.get("width").intValue());
      assertArrayEquals(
          Base64.getDecoder().decode(each.get("pixels").stringValue()), resized, each::toString);
    }
  }

  @Test
  void flatImagesStayFlat() {
    byte[] flat = new byte[5 * 7];
    java.util.Arrays.fill(flat, (byte) 200);
    for (Resize filter : Resize.values()) {
      for (byte value : filter.apply(flat, 5, 7, 1, 3, 11)) {
        assertEquals((byte) 200, value);
      }
    }
  }
}
