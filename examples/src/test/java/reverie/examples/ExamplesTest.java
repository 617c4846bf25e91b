// SPDX-License-Identifier: Apache-2.0
package reverie.examples;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import jdk.jshell.JShell;
import jdk.jshell.Snippet;
import jdk.jshell.SnippetEvent;
import jdk.jshell.SourceCodeAnalysis;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import reverie.pipeline.lora.LoraFile;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.io.Safetensors;
import reverie.unet.UNet;
import reverie.unet.UNetConfig;

/** Runs every example and looks at what it says it does. */
class ExamplesTest {
  private static final Pattern NUMBER = Pattern.compile("-?\\d+\\.\\d+");

  @TempDir private Path folder;

  private interface Program {
    void run() throws IOException;
  }

  private static String output(Program program) throws IOException {
    PrintStream before = System.out;
    var bytes = new ByteArrayOutputStream();
    System.setOut(new PrintStream(bytes, true, StandardCharsets.UTF_8));
    try {
      program.run();
    } finally {
      System.setOut(before);
    }
    return bytes.toString(StandardCharsets.UTF_8);
  }

  private static List<Double> numbers(String text) {
    return NUMBER.matcher(text).results().map(match -> Double.valueOf(match.group())).toList();
  }

  @Test
  void redGetsRedder() throws IOException {
    List<Double> red = numbers(output(() -> Red.main(folder.toString())));
    assertEquals(10, red.size());
    assertTrue(red.getLast() > red.getFirst() + 10, red.toString());
    assertTrue(Files.exists(folder.resolve("run.safetensors")));
  }

  @Test
  void theReadmeShowsRed() throws IOException {
    String readme = Files.readString(Path.of("../README.md"));
    int from = readme.indexOf("```java\n") + "```java\n".length();
    String source = Files.readString(Path.of("src/main/java/reverie/examples/Red.java"));
    assertEquals(
        source.substring(source.indexOf("import ")),
        readme.substring(from, readme.indexOf("```", from)));
  }

  @Test
  void everyObjectiveMovesTheMixtureToTheRight() throws IOException {
    List<Double> rewards = numbers(output(() -> Mixture.main(folder.toString())));
    assertEquals(4, rewards.size());
    assertEquals(0, rewards.getFirst(), 0.2);
    rewards.stream().skip(1).forEach(reward -> assertTrue(reward > 0.4, rewards.toString()));
    assertTrue(Files.readString(folder.resolve("mixture.svg")).contains("GRPO with KL"));
  }

  @Test
  void adaptersOfAnOwnModelAreWritten() throws IOException {
    UNetConfig config =
        UNetConfig.parse(
            """
            {"_class_name": "UNet2DModel", "sample_size": 8, "in_channels": 3, "out_channels": 3,
             "down_block_types": ["AttnDownBlock2D"], "up_block_types": ["AttnUpBlock2D"],
             "block_out_channels": [8], "layers_per_block": 1, "norm_num_groups": 2,
             "attention_head_dim": 4}
            """);
    try (UNet model = UNet.random(config, Device.cpu(), Rng.of(1))) {
      model.save(folder.resolve("unet"));
    }
    String output =
        output(() -> OwnModel.main(folder.resolve("unet").toString(), folder.toString(), "1"));
    assertTrue(output.contains("reward_mean"), output);
    try (Safetensors file = Safetensors.open(folder.resolve(LoraFile.NAME))) {
      assertTrue(
          file.names().stream().anyMatch(name -> name.endsWith("to_q.lora_A.weight")),
          file.names().toString());
    }
  }

  @Test
  void theRooflineHasALineForEveryWay() throws RunnerException {
    String table =
        MishRoofline.measure(
            new OptionsBuilder()
                .forks(0)
                .warmupIterations(0)
                .measurementIterations(1)
                .measurementTime(TimeValue.milliseconds(20))
                .param("size", "4096")
                .build());
    List<String> lines = table.lines().toList();
    assertEquals(4, lines.size(), table);
    assertTrue(lines.get(1).matches("kernel +4096( +\\d+\\.\\d){4} %"), table);
    assertTrue(lines.get(3).startsWith("the machine"), table);
  }

  @Test
  void theShellScriptRuns() throws IOException {
    String script = Files.readString(Path.of("src/main/jshell/first-steps.jsh"));
    var printed = new ByteArrayOutputStream();
    try (JShell shell =
        JShell.builder()
            .out(new PrintStream(printed, true, StandardCharsets.UTF_8))
            .remoteVMOptions(
                "--add-modules=jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"))
            .build()) {
      shell.addToClasspath(System.getProperty("java.class.path"));
      String rest = script;
      while (!rest.isBlank()) {
        SourceCodeAnalysis.CompletionInfo next = shell.sourceCodeAnalysis().analyzeCompletion(rest);
        for (SnippetEvent event : shell.eval(next.source())) {
          assertEquals(Snippet.Status.VALID, event.status(), next.source());
          assertNull(event.exception(), next.source());
        }
        rest = next.remaining();
      }
    }
    String said = printed.toString(StandardCharsets.UTF_8);
    assertTrue(said.contains("F32[3, 2]"), said);
  }
}
