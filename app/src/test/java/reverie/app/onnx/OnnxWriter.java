// SPDX-License-Identifier: Apache-2.0
package reverie.app.onnx;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Writes small ONNX models for tests: the few messages of onnx.proto that they need. */
public final class OnnxWriter {
  /** A 32-bit float. */
  public static final int FLOAT = 1;

  /** A 64-bit integer. */
  public static final int INT64 = 7;

  /** A 16-bit float. */
  public static final int FLOAT16 = 10;

  /** Any size. */
  public static final long ANY = -1;

  private final Message graph = new Message();

  /** A protocol buffer under construction. */
  private static final class Message {
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

    private Message varint(long value) {
      long rest = value;
      while ((rest & ~0x7fL) != 0) {
        bytes.write((int) (rest & 0x7f | 0x80));
        rest >>>= 7;
      }
      bytes.write((int) rest);
      return this;
    }

    Message number(int field, long value) {
      return varint(field << 3).varint(value);
    }

    Message bytes(int field, byte[] value) {
      varint(field << 3 | 2).varint(value.length);
      bytes.writeBytes(value);
      return this;
    }

    Message text(int field, String value) {
      return bytes(field, value.getBytes(StandardCharsets.UTF_8));
    }

    Message message(int field, Message value) {
      return bytes(field, value.bytes.toByteArray());
    }
  }

  private static Message value(String name, int type, long... shape) {
    Message sides = new Message();
    for (long side : shape) {
      sides.message(1, side == ANY ? new Message().text(2, "any") : new Message().number(1, side));
    }
    Message tensor = new Message().number(1, type).message(2, sides);
    return new Message().text(1, name).message(2, new Message().message(1, tensor));
  }

  public OnnxWriter input(String name, int type, long... shape) {
    graph.message(11, value(name, type, shape));
    return this;
  }

  public OnnxWriter output(String name, int type, long... shape) {
    graph.message(12, value(name, type, shape));
    return this;
  }

  /** A constant. */
  public OnnxWriter weights(String name, float[] data, long... shape) {
    ByteBuffer raw = ByteBuffer.allocate(4 * data.length).order(ByteOrder.LITTLE_ENDIAN);
    raw.asFloatBuffer().put(data);
    Message tensor = new Message();
    for (long side : shape) {
      tensor.number(1, side);
    }
    graph.message(5, tensor.number(2, FLOAT).text(8, name).bytes(9, raw.array()));
    return this;
  }

  /** An operation with one output, and attributes like {@code "axis=1"}. */
  public OnnxWriter node(String type, List<String> inputs, String output, String... attributes) {
    Message node = new Message();
    inputs.forEach(input -> node.text(1, input));
    node.text(2, output).text(4, type);
    for (String attribute : attributes) {
      String[] parts = attribute.split("=");
      Message written = new Message().text(1, parts[0]);
      if (parts[1].startsWith("[")) {
        for (String number : parts[1].substring(1, parts[1].length() - 1).split(",")) {
          written.number(8, Long.parseLong(number));
        }
        node.message(5, written.number(20, 7));
      } else {
        node.message(5, written.number(3, Long.parseLong(parts[1])).number(20, 2));
      }
    }
    graph.message(1, node);
    return this;
  }

  /** The file, for opset 13. */
  public Path write(Path file) {
    Message model =
        new Message()
            .number(1, 8)
            .message(7, graph.text(2, "test"))
            .message(8, new Message().text(1, "").number(2, 13));
    try {
      return Files.write(file, model.bytes.toByteArray());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
