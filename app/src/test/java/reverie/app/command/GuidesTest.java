// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import reverie.app.config.ConfigurationReader;
import reverie.app.config.FinetuneConfig;
import reverie.app.config.PretrainConfig;
import reverie.tensor.ReverieException;
import tools.jackson.databind.JsonNode;
import tools.jackson.dataformat.yaml.YAMLMapper;

/** Every command line in the documents is one that the command understands. */
class GuidesTest {
  private static final Path ROOT = Path.of("..");
  private static final ConfigurationReader<PretrainConfig> PRETRAIN = PretrainConfig.READER;
  private static final Pattern BLOCK = Pattern.compile("(?ms)^```(\\w*)\n(.*?)^```$");
  private static final Pattern WORD =
      Pattern.compile("((?:'[^']*'|\"[^\"]*\"|[^\\s'\"#]|(?<=\\S)#)+)|#.*");

  /**
   * Settings within a sentence; the groups of finetune and pretrain, but for names of files and
   * tensors.
   */
  private static final Pattern SETTING =
      Pattern.compile(
          "`((?:sampling|rollout|advantage|update|optimizer|evaluation|ema|objective|schedule"
              + "|prompts(?!\\.txt)|lora(?!\\.down))(?:\\.[a-z_0-9]+)+)[`=]");

  record Line(Path page, String text) {
    @Override
    public String toString() {
      return page.getFileName() + ": " + text;
    }
  }

  private static List<Path> pages() throws IOException {
    List<Path> pages = new ArrayList<>();
    pages.add(ROOT.resolve("README.md"));
    try (Stream<Path> documents = Files.walk(ROOT.resolve("docs"))) {
      documents.filter(page -> page.toString().endsWith(".md")).sorted().forEach(pages::add);
    }
    return pages;
  }

  static List<Line> lines() throws IOException {
    List<Line> lines = new ArrayList<>();
    for (Path page : pages()) {
      Matcher blocks = BLOCK.matcher(Files.readString(page));
      while (blocks.find()) {
        if (!blocks.group(1).isEmpty()) {
          continue; // of another language
        }
        blocks
            .group(2)
            .replace("\\\n", " ")
            .lines()
            .map(line -> line.replaceFirst("^(?:[A-Z_]+=\\S+ )*", ""))
            .filter(line -> line.startsWith("./reverie "))
            .forEach(line -> lines.add(new Line(page, line)));
      }
    }
    assertTrue(lines.size() > 50, lines.toString());
    return lines;
  }

  /** As a shell does it. */
  private static List<String> words(String line) {
    List<String> words = new ArrayList<>();
    Matcher word = WORD.matcher(line);
    while (word.find()) {
      if (word.group(1) != null && !word.group(1).equals("…")) {
        words.add(word.group(1).replaceAll("['\"]", ""));
      }
    }
    return words.subList(1, words.size());
  }

  @Test
  void settingsThatAreNamedExist() throws IOException {
    Map<String, Path> named = new TreeMap<>();
    for (Path page : pages()) {
      SETTING
          .matcher(Files.readString(page))
          .results()
          .forEach(setting -> named.putIfAbsent(setting.group(1), page));
    }
    assertTrue(named.size() > 40, named.toString());
    named.keySet().removeIf(key -> !isUnknown(key));
    assertEquals(Map.of(), named);
  }

  private static boolean isUnknown(String key) {
    ConfigurationReader<?> reader = key.startsWith("schedule") ? PRETRAIN : FinetuneConfig.READER;
    try {
      reader.read(null, null, List.of(key + "=0"));
      return false;
    } catch (ReverieException e) {
      return e.getMessage().contains("unknown key"); // 0 need not suit
    }
  }

  @ParameterizedTest
  @MethodSource("lines")
  void isUnderstood(Line line) {
    List<String> words = words(line.text());
    if (words.getFirst().startsWith("package")) {
      return; // the launcher's own
    }
    requireUnderstood(words, line.text());
  }

  @Test
  void theRunOnKubernetesIsUnderstood() {
    JsonNode job =
        new YAMLMapper()
            .readerFor(JsonNode.class)
            .<JsonNode>readValues(ROOT.resolve("packaging/spark/kubernetes.yaml").toFile())
            .readAll()
            .getLast();
    List<String> words =
        StreamSupport.stream(job.at("/spec/template/spec/containers/0/args").spliterator(), false)
            .map(JsonNode::asString)
            .dropWhile(word -> !word.equals("finetune"))
            .toList();
    requireUnderstood(words, words.toString());
  }

  private static void requireUnderstood(List<String> words, String line) {
    PrintWriter nowhere = new PrintWriter(Writer.nullWriter());
    Session session = new Session(words, Map.of(), nowhere, nowhere);
    String[] arguments =
        words.stream()
            .map(word -> word.replaceAll("^\\[|\\]$", "")) // [--option] in a list of commands
            .toArray(String[]::new);
    assertDoesNotThrow(() -> CommandLines.commandLine(session).parseArgs(arguments), line);
    List<String> settings = new ArrayList<>();
    for (int i = 0; i < words.size(); i++) {
      if (words.get(i).equals("--set") && i + 1 < words.size()) {
        settings.add(words.get(i + 1));
      } else if (words.get(i).startsWith("--set=")) {
        settings.add(words.get(i).substring("--set=".length()));
      }
    }
    switch (words.getFirst()) {
      case "finetune", "quickstart" ->
          assertDoesNotThrow(() -> FinetuneConfig.READER.read(null, null, settings), line);
      case "pretrain" -> assertDoesNotThrow(() -> PRETRAIN.read(null, null, settings), line);
      default -> {}
    }
  }
}
