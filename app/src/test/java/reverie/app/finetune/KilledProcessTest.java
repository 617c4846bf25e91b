// SPDX-License-Identifier: Apache-2.0
package reverie.app.finetune;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.app.Main;
import reverie.app.report.Summary;

/** A process that is told to end does so, whatever it waits for, and leaves nothing running. */
class KilledProcessTest {
  /** Answers for the base model; while the first epoch is drawn it hangs, deaf to all but KILL. */
  private static final String PROGRAM =
      """
      trap '' TERM INT
      read folder && echo 1 2
      read folder
      echo $$ > "$0.pid"
      touch "$0.hangs"
      [ -e "$0.heals" ] || while :; do sleep 1; done
      echo 3 4
      while read folder; do echo 5 6; done
      """;

  @TempDir Path folder;

  @Test
  void aKillEndsARunWhoseRewardHangs() throws Exception {
    assumeTrue(Files.isExecutable(Path.of("/bin/sh")), "no shell here");
    Path temporary = Files.createDirectory(folder.resolve("temporary"));
    Path model = folder.resolve("model");
    Path program = Files.writeString(folder.resolve("reward.sh"), PROGRAM);
    TinyRun.unconditional(model);
    Path run = folder.resolve("run");
    Process process = finetune(temporary, model, program, run);
    while (process.isAlive() && !Files.exists(folder.resolve("reward.sh.hangs"))) {
      Thread.sleep(20);
    }
    long pid = Long.parseLong(Files.readString(folder.resolve("reward.sh.pid")).strip());
    process.toHandle().destroy();
    String said = said(process);
    assertEquals(130, process.waitFor(), said);
    assertTrue(said.contains("This step takes long: stopping now"), said);
    assertFalse(
        ProcessHandle.of(pid).map(ProcessHandle::isAlive).orElse(false), "the program goes too");
    assertEquals(List.of(), List.of(temporary.toFile().list()), "nothing temporary stays");

    Files.createFile(folder.resolve("reward.sh.heals"));
    Process again = finetune(temporary, model, program, run, "--resume", run.toString());
    String more = said(again);
    assertEquals(0, again.waitFor(), more);
    assertEquals(2, Summary.read(run).orElseThrow().rewardAfter().n());
  }

  private static String said(Process process) throws Exception {
    StringBuilder all = new StringBuilder();
    try (BufferedReader reader =
        new BufferedReader(
            new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
      reader.lines().forEach(line -> all.append(line).append('\n'));
    }
    return all.toString();
  }

  private static Process finetune(
      Path temporary, Path model, Path program, Path run, String... resume) throws Exception {
    List<String> line =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules=jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-XX:-UsePerfData",
                "-XX:TieredStopAtLevel=1",
                "-Djava.io.tmpdir=" + temporary,
                "-Djava.awt.headless=true",
                "-cp",
                System.getProperty("java.class.path"),
                Main.class.getName(),
                "finetune"));
    if (resume.length > 0) {
      line.addAll(List.of(resume));
    } else {
      line.addAll(List.of("--out", run.toString()));
      for (String setting :
          List.of(
              "model=" + model,
              "reward.name=command",
              "reward.command=[/bin/sh, " + program + "]",
              "prompts.per_epoch=1",
              "prompts.images_each=2",
              "sampling.steps=2",
              "epochs=1",
              "evaluation.samples=2",
              "evaluation.every_samples=2")) {
        line.addAll(List.of("--set", setting));
      }
    }
    return new ProcessBuilder(line).redirectErrorStream(true).start();
  }
}
