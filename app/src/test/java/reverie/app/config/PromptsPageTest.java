// SPDX-License-Identifier: Apache-2.0
package reverie.app.config;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.rl.prompt.PromptSource;

/** The examples of docs/prompts.md. */
class PromptsPageTest {
  @TempDir Path folder;

  @Test
  void theExamplesAreWhatThePageSays() throws IOException {
    String page = Files.readString(Path.of("../docs/prompts.md"));
    Matcher yaml = Pattern.compile("(?s)```yaml\n(.*?)```").matcher(page);
    assertTrue(yaml.find());
    Path file = Files.writeString(folder.resolve("my.yaml"), yaml.group(1));
    var prompts = FinetuneConfig.READER.read(null, file, List.of()).value().prompts();
    PromptSource source = PromptSource.template(prompts.template(), prompts.slots());
    assertEquals(3 * 45, source.size());
    assertTrue(
        source.all().stream()
            .anyMatch(prompt -> prompt.text().equals("an oil painting of a gorilla")));
    Matcher held = Pattern.compile("'(prompts.held_out=[^']+)'").matcher(page);
    assertTrue(held.find());
    String pattern =
        FinetuneConfig.READER
            .read(null, null, List.of("prompts.source=animal_activities", held.group(1)))
            .value()
            .prompts()
            .heldOut();
    assertEquals(6, PromptSource.animalActivities().split(pattern).heldOut().size());
  }
}
