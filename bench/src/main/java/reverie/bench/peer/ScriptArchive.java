// SPDX-License-Identifier: Apache-2.0
package reverie.bench.peer;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.Locale;
import java.util.stream.Collectors;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/**
 * Packs the text of a module without attributes as the archive that {@code torch.jit.load} reads: a
 * zip of stored files with the source, the module as a pickle and a version. So no LibTorch is
 * needed to write what every LibTorch reads.
 */
final class ScriptArchive {
  private static final String NAME = "UNet";

  /** Protocol 2: an object of class __torch__.UNet with an empty state. */
  private static final byte[] MODULE =
      pickle("635f5f746f7263685f5f0a" + "554e65740a" + "7100" + "29817d287562" + "7101");

  private static final byte[] NO_CONSTANTS = pickle("29");

  private ScriptArchive() {}

  /** Writes a module with these methods, given without indentation. */
  static void write(Path file, String methods) throws IOException {
    String module =
        String.format(
                Locale.ROOT, "class %s(Module):%n  __parameters__ = []%n  __buffers__ = []%n", NAME)
            + methods.lines().map(l -> l.isEmpty() ? l : "  " + l).collect(Collectors.joining("\n"))
            + "\n";
    try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(file))) {
      zip.setMethod(ZipOutputStream.STORED);
      add(zip, "data.pkl", MODULE);
      add(zip, "code/__torch__.py", module.getBytes(StandardCharsets.UTF_8));
      add(zip, "constants.pkl", NO_CONSTANTS);
      add(zip, "version", "10\n".getBytes(StandardCharsets.UTF_8));
    }
  }

  private static void add(ZipOutputStream zip, String name, byte[] bytes) throws IOException {
    CRC32 crc = new CRC32();
    crc.update(bytes);
    ZipEntry entry = new ZipEntry(NAME + "/" + name);
    entry.setSize(bytes.length);
    entry.setCrc(crc.getValue());
    zip.putNextEntry(entry);
    zip.write(bytes);
    zip.closeEntry();
  }

  private static byte[] pickle(String operations) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    bytes.writeBytes(HexFormat.of().parseHex("8002" + operations + "2e"));
    return bytes.toByteArray();
  }
}
