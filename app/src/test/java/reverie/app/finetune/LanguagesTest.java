// SPDX-License-Identifier: Apache-2.0
package reverie.app.finetune;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import reverie.app.run.RunFolder;
import reverie.app.text.MiniLm;
import reverie.tensor.io.Safetensors;

/** What is written is the same whatever language and calendar the machine is set to. */
class LanguagesTest {
  private static final Locale HERE = Locale.getDefault();
  @TempDir Path folder;

  @AfterEach
  void back() {
    Locale.setDefault(HERE);
  }

  @Test
  void theLocalesOfThisTestWriteOtherDigits() {
    Locale.setDefault(Locale.forLanguageTag("fa"));
    assertEquals("۱۲", String.format(Locale.getDefault(), "%d", 12));
  }

  @ParameterizedTest
  @ValueSource(strings = {"fa", "ar-EG", "th-TH-u-nu-thai", "tr"})
  void aRunWritesTheSameFiles(String language) throws IOException {
    Locale.setDefault(Locale.ROOT);
    TinyRun tiny = TinyRun.in(Files.createDirectories(folder.resolve("root")));
    String encoder = new MiniLm().identity();
    tiny.finetune(folder.resolve("a"));
    Locale.setDefault(Locale.forLanguageTag(language));
    assertEquals(encoder, new MiniLm().identity());
    TinyRun.in(Files.createDirectories(folder.resolve("other")));
    tiny.finetune(folder.resolve("b"));
    for (String file : new String[] {"config.yaml", "command.txt", "summary.json"}) {
      String a = text(folder.resolve("a").resolve(file));
      assertEquals(a, text(folder.resolve("b").resolve(file)), file);
    }
    assertEquals(metadata(folder.resolve("a")), metadata(folder.resolve("b")));
    for (String file : new String[] {"unet/config.json", "reverie.json", "model_index.json"}) {
      assertArrayEquals(
          Files.readAllBytes(folder.resolve("root/model").resolve(file)),
          Files.readAllBytes(folder.resolve("other/model").resolve(file)),
          file);
    }
    Clock clock = Clock.fixed(Instant.parse("2026-01-31T12:00:05Z"), ZoneOffset.UTC);
    assertEquals(
        Path.of("runs/finetune-20260131-120005"), RunFolder.defaultPath("finetune", clock));
  }

  private static Map<String, String> metadata(Path run) {
    try (Safetensors checkpoint = Safetensors.openChecked(run.resolve("checkpoint.safetensors"))) {
      Map<String, String> metadata = new TreeMap<>(checkpoint.metadata());
      metadata.remove("note.run_seconds");
      return metadata;
    }
  }

  /** Without how long it took and how much memory. */
  private static String text(Path file) throws IOException {
    return Files.readString(file).replaceAll("\"(seconds|peak_rss_mb)\"\\s*:\\s*\"?[^,}]*", "");
  }
}
