// SPDX-License-Identifier: Apache-2.0
package reverie.app.run;

import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import javax.imageio.ImageIO;

/** The images in a run's files for TensorBoard, read as protocol buffers. */
public record EventImages(long step, String tag, BufferedImage image) {
  /** In the order of writing. */
  public static List<EventImages> of(Path run) throws IOException {
    List<EventImages> all = new ArrayList<>();
    List<Path> files;
    try (Stream<Path> found = Files.list(run)) {
      files = found.filter(f -> f.toString().contains("tfevents")).sorted().toList();
    }
    for (Path file : files) {
      ByteBuffer records = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
      while (records.hasRemaining()) {
        byte[] data = new byte[(int) records.getLong()];
        records.position(records.position() + 4).get(data).position(records.position() + 4);
        Map<Long, Object> event = message(data);
        if (event.get(5L) instanceof byte[] summary) {
          Map<Long, Object> value = message((byte[]) message(summary).get(1L));
          if (value.get(4L) instanceof byte[] image) {
            all.add(image(event, value, message(image)));
          }
        }
      }
    }
    return all;
  }

  private static EventImages image(
      Map<Long, Object> event, Map<Long, Object> value, Map<Long, Object> fields)
      throws IOException {
    BufferedImage image = ImageIO.read(new ByteArrayInputStream((byte[]) fields.get(4L)));
    if ((Long) fields.get(1L) != image.getHeight() || (Long) fields.get(2L) != image.getWidth()) {
      throw new IOException("the message has another size than its image");
    }
    String tag = new String((byte[]) value.get(1L), StandardCharsets.UTF_8);
    return new EventImages((Long) event.get(2L), tag, image);
  }

  private static Map<Long, Object> message(byte[] bytes) {
    Map<Long, Object> fields = new HashMap<>();
    ByteBuffer in = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    while (in.hasRemaining()) {
      long key = varint(in);
      Object field =
          switch ((int) (key & 7)) {
            case 0 -> varint(in);
            case 1 -> in.getDouble();
            case 2 -> {
              byte[] inner = new byte[(int) varint(in)];
              in.get(inner);
              yield inner;
            }
            default -> in.getFloat();
          };
      fields.put(key >>> 3, field);
    }
    return fields;
  }

  private static long varint(ByteBuffer in) {
    long value = 0;
    for (int shift = 0; ; shift += 7) {
      byte next = in.get();
      value |= (long) (next & 0x7f) << shift;
      if (next >= 0) {
        return value;
      }
    }
  }
}
