// SPDX-License-Identifier: Apache-2.0
package reverie.app.run;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.util.zip.CRC32C;
import reverie.app.files.AtomicFile;

/**
 * Writes what TensorBoard reads: scalars and images in a file {@code events.out.tfevents.*}.
 *
 * <p>The format is a sequence of TFRecords, each a little-endian length, the masked CRC-32C of the
 * length, the data and its masked CRC-32C; the data is an {@code Event} message of protocol
 * buffers. Only six fields of three messages are needed, so they are encoded by hand.
 */
final class EventFile implements AutoCloseable {
  private static final int CRC_MASK = 0xa282ead8;

  /**
   * SessionLog.START: TensorBoard then forgets what an earlier file says about this step and later
   * ones.
   */
  private static final int SESSION_START = 1;

  private final Path file;
  private final FileChannel channel;

  private EventFile(Path file, FileChannel channel) {
    this.file = file;
    this.channel = channel;
  }

  /**
   * Begins a new file.
   *
   * @param folder where; several files in one folder are one run
   * @param now the time in its name
   * @param firstStep the step the run begins or resumes at
   */
  static EventFile open(Path folder, Instant now, long firstStep) {
    String name = "events.out.tfevents." + now.getEpochSecond() + "." + host();
    Path file = folder.resolve(name);
    for (int i = 1; Files.exists(file); i++) {
      file = folder.resolve(name + "." + i);
    }
    try {
      FileChannel channel =
          FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
      EventFile events = new EventFile(file, channel);
      events.append(event(now, 0).text(3, "brain.Event:2"));
      events.append(event(now, firstStep).message(7, new Message().number(1, SESSION_START)));
      return events;
    } catch (IOException e) {
      throw AtomicFile.failure(file, e);
    }
  }

  void scalar(Instant now, long step, String tag, double value) {
    appendValue(now, step, new Message().text(1, tag).float32(2, (float) value));
  }

  void image(Instant now, long step, String tag, int width, int height, byte[] png) {
    Message image = new Message().number(1, height).number(2, width).number(3, 3).bytes(4, png);
    appendValue(now, step, new Message().text(1, tag).message(4, image));
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      throw AtomicFile.failure(file, e);
    }
  }

  private void appendValue(Instant now, long step, Message value) {
    try {
      append(event(now, step).message(5, new Message().message(1, value)));
    } catch (IOException e) {
      throw AtomicFile.failure(file, e);
    }
  }

  private static Message event(Instant now, long step) {
    double seconds = now.getEpochSecond() + now.getNano() * 1e-9;
    return new Message().float64(1, seconds).number(2, step);
  }

  /** One TFRecord, written by one call so that a killed process leaves whole records. */
  private void append(Message event) throws IOException {
    byte[] data = event.toBytes();
    ByteBuffer record = ByteBuffer.allocate(16 + data.length).order(ByteOrder.LITTLE_ENDIAN);
    record.putLong(data.length);
    record.putInt(maskedCrc(record.array(), 0, 8));
    record.put(data);
    record.putInt(maskedCrc(data, 0, data.length));
    record.flip();
    while (record.hasRemaining()) {
      channel.write(record);
    }
  }

  static int maskedCrc(byte[] bytes, int offset, int length) {
    CRC32C crc = new CRC32C();
    crc.update(bytes, offset, length);
    int value = (int) crc.getValue();
    return ((value >>> 15) | (value << 17)) + CRC_MASK;
  }

  private static String host() {
    try {
      return InetAddress.getLocalHost().getHostName();
    } catch (UnknownHostException e) {
      return "localhost";
    }
  }

  /** A protocol-buffers message under construction. */
  private static final class Message {
    private static final int VARINT = 0;
    private static final int FIXED64 = 1;
    private static final int LENGTH_DELIMITED = 2;
    private static final int FIXED32 = 5;

    private final ByteArrayOutputStream out = new ByteArrayOutputStream();

    Message number(int field, long value) {
      tag(field, VARINT);
      varint(value);
      return this;
    }

    Message float32(int field, float value) {
      tag(field, FIXED32);
      out.writeBytes(little(Float.BYTES).putFloat(value).array());
      return this;
    }

    Message float64(int field, double value) {
      tag(field, FIXED64);
      out.writeBytes(little(Double.BYTES).putDouble(value).array());
      return this;
    }

    Message bytes(int field, byte[] value) {
      tag(field, LENGTH_DELIMITED);
      varint(value.length);
      out.writeBytes(value);
      return this;
    }

    Message text(int field, String value) {
      return bytes(field, value.getBytes(StandardCharsets.UTF_8));
    }

    Message message(int field, Message value) {
      return bytes(field, value.toBytes());
    }

    byte[] toBytes() {
      return out.toByteArray();
    }

    private static ByteBuffer little(int size) {
      return ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
    }

    private void tag(int field, int wireType) {
      varint((long) field << 3 | wireType);
    }

    private void varint(long value) {
      long rest = value;
      while ((rest & ~0x7fL) != 0) {
        out.write((int) (rest & 0x7f | 0x80));
        rest >>>= 7;
      }
      out.write((int) rest);
    }
  }
}
