// SPDX-License-Identifier: Apache-2.0
package reverie.architecture;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** What the documents point to is there. */
class DocumentsTest {
  private static final Pattern LINK = Pattern.compile("]\\(([^)#\\s]*)(?:#([^)\\s]*))?\\)");
  private static final Pattern QUOTED = Pattern.compile("(?m)^\\| `([^`]+)`[^|]*\\|");
  private static final Pattern JAVA = Pattern.compile("(?s)```java\n(.*?)```");
  private static final Pattern CODE = Pattern.compile("(?s)```.*?```|`[^`\n]*`");
  private static final Pattern BLOCK = Pattern.compile("(?s)```.*?```");
  private static final Pattern METHOD =
      Pattern.compile("(?<=`)(?:new )?([A-Z]\\w+)\\.([a-z][a-zA-Z0-9]+)\\b(?!_)");

  private static List<Path> documents() throws IOException {
    List<Path> documents = new ArrayList<>();
    try (Stream<Path> top = Files.list(Project.ROOT)) {
      top.filter(DocumentsTest::isDocument).forEach(documents::add);
    }
    for (String folder : List.of("docs", "examples")) {
      try (Stream<Path> below = Files.walk(Project.ROOT.resolve(folder))) {
        below.filter(DocumentsTest::isDocument).forEach(documents::add);
      }
    }
    return documents;
  }

  private static boolean isDocument(Path path) {
    return path.toString().endsWith(".md");
  }

  /** The anchors of a page's headings, as GitHub makes them. */
  private static List<String> anchors(Path page) throws IOException {
    return Files.readString(page)
        .lines()
        .filter(line -> line.startsWith("#"))
        .map(line -> line.replaceFirst("#+ *", "").toLowerCase(Locale.ROOT))
        .map(title -> title.replaceAll("[^\\p{L}\\p{N}_ -]", "").replace(' ', '-'))
        .toList();
  }

  @Test
  void everyLinkLeadsSomewhere() throws IOException {
    List<Path> documents = documents();
    assertTrue(documents.size() > 20, documents.toString());
    List<String> broken = new ArrayList<>();
    for (Path page : documents) {
      var links = LINK.matcher(CODE.matcher(Files.readString(page)).replaceAll(""));
      while (links.find()) {
        String target = links.group(1);
        if (target.contains("://")) {
          continue;
        }
        Path file = target.isEmpty() ? page : page.getParent().resolve(target).normalize();
        String anchor = links.group(2);
        if (Files.notExists(file)
            || anchor != null && isDocument(file) && !anchors(file).contains(anchor)) {
          broken.add(Project.ROOT.relativize(page) + " → " + links.group());
        }
      }
    }
    assertEquals(List.of(), broken);
  }

  /** The messages that troubleshooting begins its rows with, … standing for what differs. */
  @Test
  void troubleshootingQuotesWhatIsSaid() {
    List<String> sources = new ArrayList<>(List.of(Project.read(Project.ROOT.resolve("reverie"))));
    for (Path source : Project.sources()) {
      sources.add(Project.read(source).replaceAll("\"\\s*\\+\\s*\"", "").replace("\\\"", "\""));
    }
    String page = Project.read(Project.ROOT.resolve("docs/troubleshooting.md"));
    List<String> quoted = QUOTED.matcher(page).results().map(match -> match.group(1)).toList();
    assertTrue(quoted.size() > 30, quoted.toString());
    assertEquals(
        List.of(),
        quoted.stream()
            .flatMap(message -> Stream.of(message.split("…")))
            .map(String::strip)
            .filter(part -> sources.stream().noneMatch(source -> source.contains(part)))
            .toList());
  }

  /**
   * Java of the documents stands in a source that is compiled, however lines are broken there; what
   * pages show as an addition of the reader's is compiled by {@link AddingTest}. A page may close a
   * block where its test goes on, and leave out what a test counts.
   */
  @Test
  void everyJavaBlockIsCompiled() throws IOException {
    StringBuilder sources = new StringBuilder();
    try (Stream<Path> files = Files.walk(Project.ROOT)) {
      files
          .filter(file -> file.toString().matches(".*/src/(main|test)/java/.*\\.java"))
          .forEach(file -> sources.append(words(Project.read(file))));
    }
    List<String> unknown = new ArrayList<>();
    for (Path page : documents()) {
      Matcher blocks = JAVA.matcher(Files.readString(page));
      while (blocks.find()) {
        String block = words(blocks.group(1)).replaceFirst("}$", "");
        if (!AddingTest.PAGES.contains(page.getFileName().toString())
            && sources.indexOf(block) < 0) {
          unknown.add(Project.ROOT.relativize(page) + ": " + blocks.group(1));
        }
      }
    }
    assertEquals(List.of(), unknown);
  }

  private static String words(String java) {
    return java.lines()
        .filter(line -> !line.contains("incrementAndGet"))
        .collect(Collectors.joining())
        .replaceAll("\\s+", "");
  }

  /** A guide says first what its reader gets; the pages of folders below are made, or lists. */
  @Test
  void everyGuideBeginsWithASentence() throws IOException {
    try (Stream<Path> guides = Files.list(Project.ROOT.resolve("docs"))) {
      assertEquals(
          List.of(),
          guides
              .filter(DocumentsTest::isDocument)
              .filter(guide -> !Project.read(guide).matches("(?s)# [^\n]+\n\n[*`\\[]*\\p{L}.*"))
              .map(guide -> guide.getFileName().toString())
              .toList());
    }
  }

  /** What sentences call {@code Type.method} is there, unless its name is another language's. */
  @Test
  void everyMethodThatIsNamedExists() throws IOException {
    Map<String, String> sources = new HashMap<>();
    Project.sources()
        .forEach(source ->
            sources.merge(
                source.getFileName().toString().replace(".java", ""),
                Project.read(source),
                String::concat));
    List<String> unknown = new ArrayList<>();
    int seen = 0;
    for (Path page : documents()) {
      Matcher names = METHOD.matcher(BLOCK.matcher(Files.readString(page)).replaceAll(""));
      while (names.find()) {
        seen++;
        String source = sources.getOrDefault(names.group(1), "");
        if (!source.matches("(?s).*\\b" + names.group(2) + "\\b.*")) {
          unknown.add(Project.ROOT.relativize(page) + ": " + names.group());
        }
      }
    }
    assertEquals(List.of(), unknown);
    assertTrue(seen > 30, () -> "the pattern finds little");
  }

  @Test
  void everyGuideIsInTheIndex() throws IOException {
    String index = Files.readString(Project.ROOT.resolve("docs/README.md"));
    try (Stream<Path> guides = Files.list(Project.ROOT.resolve("docs"))) {
      assertEquals(
          List.of(),
          guides
              .filter(DocumentsTest::isDocument)
              .map(guide -> guide.getFileName().toString())
              .filter(name -> !name.equals("README.md") && !index.contains("(" + name + ")"))
              .toList());
    }
  }
}
