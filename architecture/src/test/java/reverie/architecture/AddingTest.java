// SPDX-License-Identifier: Apache-2.0
package reverie.architecture;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Adds an objective and a reward to a copy in the places that docs/adding-*.md list, and checks
 * that what is there already stands in these places only.
 */
class AddingTest {
  private static final String OBJECTIVES = "rl/src/main/java/reverie/rl/objective/";
  private static final String CONFIG = "app/src/main/resources/reverie/app/config/finetune/";

  /** Pages whose Java is added here. */
  static final List<String> PAGES = List.of("adding-an-objective.md", "adding-a-reward.md");

  private static final String REWARDS = "app/src/main/java/reverie/app/reward/BuiltInReward.java";

  @TempDir private Path folder;

  @Test
  void anObjectiveIsThreePlaces() throws IOException, InterruptedException {
    assertEquals(
        Set.of("Prdp.java", "Objectives.java", "objective.yaml"),
        filesThatName("\\bPrdp\\b|\\bprdp\\b", "prove/", "claims"));
    Adding plain =
        new Adding()
            .write(
                OBJECTIVES + "Plain.java",
                "package reverie.rl.objective;\nimport reverie.tensor.Tensor;\n"
                    + example("docs/adding-an-objective.md"))
            .replace(
                OBJECTIVES + "Objectives.java",
                "new DdpoScoreFunction(),",
                "new DdpoScoreFunction(), new Plain(),");
    plain.build(classes());
    // Two places: the third is asked for.
    assertSays("must be one of", "objective=plain");
    plain
        .replace(CONFIG + "objective.yaml", "\nprdp:", "\nplain:\n  gain: 1\nprdp:")
        .build(classes());
    assertSays("absent' does not exist", "objective.plain.gain=2");
    assertSays("did you mean 'objective.plain.gain'?", "objective.plain.gian=2");
  }

  @Test
  void aRewardIsTwoPlaces() throws IOException, InterruptedException {
    assertEquals(
        Set.of("Colourfulness.java", "BuiltInReward.java"),
        filesThatName(
            "\\b[Cc]olourfulness\\b|\\bCOLOURFULNESS\\b",
            "Watch.java",
            "IconProblem.java",
            "claims"));
    new Adding()
        .replace(REWARDS, "  RECOGNISED(", example("docs/adding-a-reward.md") + "  RECOGNISED(")
        .build(classes());
    assertSays("absent' does not exist", "reward=darkness");
    assertSays("absent' does not exist", "watch=[darkness]");
    assertSays("'reward.name' must be one of", "reward.name=darknes");
  }

  @Test
  void aTrainingOptionIsThreePlaces() throws IOException {
    assertEquals(
        Set.of("TrainerSettings.java", "RolloutExperience.java", "defaults.yaml"),
        filesThatName("\\bsharedStart\\b|\\bshared_start\\b", "prove/", "choice/"));
  }

  /** The page's only Java. */
  private static String example(String page) {
    String text = Project.read(Project.ROOT.resolve(page));
    int from = text.indexOf("```java\n") + "```java\n".length();
    return text.substring(from, text.indexOf("```", from));
  }

  /** Names of the files of rl and app that match, but for those that only make use of it. */
  private static Set<String> filesThatName(String pattern, String... users) throws IOException {
    Pattern name = Pattern.compile(pattern);
    Set<String> files = new TreeSet<>();
    for (String module : List.of("rl", "app")) {
      Path root = Project.ROOT.resolve(module).resolve("src/main");
      try (Stream<Path> all = Files.walk(root)) {
        for (Path file : all.filter(f -> f.toString().matches(".*\\.(java|yaml)")).toList()) {
          String path = file.toString().replace('\\', '/');
          if (Stream.of(users).noneMatch(path::contains)
              && name.matcher(withoutComments(Files.readString(file))).find()) {
            files.add(file.getFileName().toString());
          }
        }
      }
    }
    return files;
  }

  private static String withoutComments(String text) {
    boolean java = text.startsWith("//");
    return text.replaceAll(java ? "(?s)/\\*.*?\\*/|//[^\\n]*" : "#[^\\n]*", "");
  }

  private Path classes() throws IOException {
    return Files.createDirectories(folder.resolve("classes"));
  }

  /** What a fine-tuning with this setting says, of a model that is not there. */
  private void assertSays(String part, String setting) throws IOException, InterruptedException {
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules=jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                Stream.concat(Stream.of(folder.resolve("classes")), Project.classPath().stream())
                    .map(Path::toString)
                    .collect(Collectors.joining(File.pathSeparator)),
                "reverie.app.Main",
                "finetune",
                "--set",
                "model=" + folder.resolve("absent"),
                "--set",
                setting,
                "--out",
                folder.resolve("run").toString())
            .redirectErrorStream(true)
            .start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    process.waitFor();
    assertTrue(said.contains(part), said);
  }
}
