// SPDX-License-Identifier: Apache-2.0
package reverie.app.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import reverie.tensor.ReverieException;

class MetricsTest {
  private static final Clock CLOCK =
      Clock.fixed(Instant.parse("2026-01-31T12:00:00Z"), ZoneOffset.UTC);
  @TempDir Path folder;

  @Test
  void writesOneObjectALine() throws IOException {
    try (Metrics metrics = Metrics.open(folder, 0, CLOCK)) {
      metrics.log(0, Map.of("loss", 0.5));
      metrics.log(1, Map.of("loss", Double.NaN));
      metrics.sync();
    }
    assertEquals(
        """
        {"step":0,"time":"2026-01-31T12:00:00Z","loss":0.5}
        {"step":1,"time":"2026-01-31T12:00:00Z","loss":null}
        """,
        Files.readString(folder.resolve("metrics.jsonl")));
    List<Metrics.Line> lines = Metrics.read(folder);
    assertEquals(new Metrics.Line(0, Map.of("loss", 0.5)), lines.get(0));
    assertTrue(lines.get(1).values().get("loss").isNaN());
  }

  @Test
  void repairsWhatAKilledProcessLeft() throws IOException {
    try (Metrics metrics = Metrics.open(folder, 0, CLOCK)) {
      for (int step = 0; step < 5; step++) {
        metrics.log(step, Map.of("loss", (double) step));
      }
    }
    Path file = folder.resolve("metrics.jsonl");
    Files.writeString(file, "{\"step\":5,\"lo", StandardOpenOption.APPEND);
    assertEquals(5, Metrics.read(folder).size());
    try (Metrics metrics = Metrics.open(folder, 3, CLOCK)) {
      metrics.log(3, Map.of("loss", 30.0));
    }
    assertEquals(
        List.of(0.0, 1.0, 2.0, 30.0),
        Metrics.read(folder).stream().map(line -> line.values().get("loss")).toList());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"step\":1,\"lo",
        "[1]",
        "17",
        "{\"loss\":1}",
        "{\"step\":\"1\"}",
        "{\"step\":0}",
        "{\"step\":1e300}",
        "{\"step\":1,\"step\":2}",
        "",
        "\u0000\u0000"
      })
  void aDamagedLineIsNamed(String damaged) throws IOException {
    Path file = folder.resolve("metrics.jsonl");
    Files.writeString(file, "{\"step\":0,\"loss\":1}\n" + damaged + "\n{\"step\":2}\n");
    for (Executable use :
        List.<Executable>of(() -> Metrics.read(folder), () -> Metrics.open(folder, 3, CLOCK))) {
      var error = assertThrows(ReverieException.class, use);
      assertTrue(
          error.getMessage().startsWith("read " + file + ": line 2 is damaged: "),
          error::getMessage);
      assertTrue(error.getMessage().contains("\nhint: delete this line"), error::getMessage);
    }
  }

  @Test
  void writesWhatTensorBoardReads() throws IOException {
    try (Metrics metrics = Metrics.open(folder, 7, CLOCK)) {
      // What is not finite is left out: TensorBoard shows it as a gap in any case.
      metrics.log(300, Map.of("loss", 0.5, "none", Double.NaN));
      metrics.image(300, "grid", new BufferedImage(2, 3, BufferedImage.TYPE_INT_RGB));
    }
    Path file;
    try (Stream<Path> files = Files.list(folder)) {
      file =
          files
              .filter(f -> f.getFileName().toString().contains("tfevents"))
              .findFirst()
              .orElseThrow();
    }
    List<byte[]> records =
        records(ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN));
    assertEquals(4, records.size());
    // wall_time = 1769860800.0, step = 0, file_version
    String time = "09" + doubleBits(1769860800.0);
    assertEquals(time + "1000" + "1a0d" + ascii("brain.Event:2"), hex(records.get(0)));
    assertEquals(time + "1007" + "3a02" + "0801", hex(records.get(1)));
    // step 300, summary { value { tag: "training/loss" simple_value: 0.5 } }
    assertEquals(
        time + "10ac02" + "2a160a14" + "0a0d" + ascii("training/loss") + "150000003f",
        hex(records.get(2)));
    String image = hex(records.get(3));
    assertTrue(image.contains("0a04" + ascii("grid") + "22"), image);
    assertTrue(image.contains("080310021803" + "22"), image);
  }

  @Test
  void masksTheChecksumAsTensorFlowDoes() {
    // CRC-32C of "123456789" is e3069283.
    int crc = 0xe3069283;
    assertEquals(
        (crc >>> 15 | crc << 17) + 0xa282ead8,
        EventFile.maskedCrc("123456789".getBytes(StandardCharsets.US_ASCII), 0, 9));
  }

  private static List<byte[]> records(ByteBuffer file) {
    List<byte[]> records = new ArrayList<>();
    while (file.hasRemaining()) {
      byte[] length = new byte[8];
      file.get(file.position(), length);
      byte[] data = new byte[(int) file.getLong()];
      assertEquals(EventFile.maskedCrc(length, 0, 8), file.getInt());
      file.get(data);
      assertEquals(EventFile.maskedCrc(data, 0, data.length), file.getInt());
      records.add(data);
    }
    return records;
  }

  private static String doubleBits(double value) {
    ByteBuffer bytes = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putDouble(value);
    return hex(bytes.array());
  }

  private static String ascii(String text) {
    return hex(text.getBytes(StandardCharsets.US_ASCII));
  }

  private static String hex(byte[] bytes) {
    return HexFormat.of().formatHex(bytes);
  }
}
