// SPDX-License-Identifier: Apache-2.0
package reverie.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The scripts for machines with a CUDA device, with a bundle whose Java only says its lines. */
@EnabledOnOs(value = OS.LINUX, disabledReason = "the scripts are for Linux")
class DeviceScriptTest {
  private static final Path ROOT = Path.of("..").toAbsolutePath().normalize();
  private static final Path SCRIPT = ROOT.resolve("native/cuda/device.sh");

  @TempDir Path folder;

  private record Result(int status, String output) {}

  private Result run(Map<String, String> environment, Object... command)
      throws IOException, InterruptedException {
    Path output = folder.resolve("output.txt");
    ProcessBuilder builder =
        new ProcessBuilder(Stream.of(command).map(Object::toString).toList())
            .redirectErrorStream(true)
            .redirectOutput(output.toFile());
    builder.environment().put("OUT", out().toString());
    builder.environment().putAll(environment);
    int status = builder.start().waitFor();
    return new Result(status, Files.readString(output));
  }

  private Path out() {
    return folder.resolve("out");
  }

  /** A bundle in which {@code java} does what these lines of a shell's "case" say. */
  private Path bundle(String cases) throws IOException, InterruptedException {
    Path bin = Files.createDirectories(folder.resolve("reverie-cuda/runtime/bin"));
    Files.createDirectories(folder.resolve("reverie-cuda/lib"));
    Path java =
        Files.writeString(
            bin.resolve("java"),
            """
            #!/bin/bash
            case "$*" in
              %s
              *) echo "java $*" ;;
            esac
            """
                .formatted(cases));
    assertTrue(java.toFile().setExecutable(true));
    Path bundle = folder.resolve("bundle.tar");
    assertEquals(0, run(Map.of(), "tar", "-C", folder, "-cf", bundle, "reverie-cuda").status);
    return bundle;
  }

  @ParameterizedTest
  @ValueSource(strings = {"build.sh", "bundle.sh", "device.sh"})
  void bashReadsThem(String script) throws IOException, InterruptedException {
    Result result = run(Map.of(), "bash", "-n", ROOT.resolve("native/cuda").resolve(script));
    assertEquals(new Result(0, ""), result);
  }

  @Test
  void saysHowItIsCalled() throws IOException, InterruptedException {
    Result result = run(Map.of(), SCRIPT);
    assertEquals(2, result.status, result.output);
    assertTrue(result.output.startsWith("device.sh facts|speed"), result.output);
  }

  @Test
  void stopsAtOnceWithoutADevice() throws IOException, InterruptedException {
    Path bundle = bundle("*--require*) echo none; exit 1 ;;");
    Result result = run(Map.of(), SCRIPT, "facts", bundle);
    assertEquals(1, result.status, result.output);
    assertTrue(result.output.contains("no device that computes: stopping"), result.output);
    assertTrue(result.output.contains("failed: doctor"), result.output);
    assertFalse(Files.exists(out().resolve("facts-laws.txt")), result.output);
  }

  /** Drivers compile on deep stacks, large models need the heap, and a crash is to be told. */
  @Test
  void givesJavaRoomLibrariesAndAPlaceForCrashes() throws IOException, InterruptedException {
    Path bundle = bundle("*--require*) echo \"java $* in $LD_LIBRARY_PATH\"; exit 1 ;;");
    Result result = run(Map.of(), SCRIPT, "facts", bundle);
    String said = Files.readString(out().resolve("facts-doctor.txt"));
    assertTrue(said.contains(" -Xmx72g -Xss16m "), () -> said + result.output);
    assertTrue(said.contains("-XX:ErrorFile=" + out().resolve("facts-hs_err.txt")), said);
    assertTrue(said.contains("/nvidia/cudnn/lib:"), said);
  }

  /** What bundle.sh writes is compressed by xz, which the other machine may lack. */
  @Test
  void unpacksWhereThereIsNoXz() throws IOException, InterruptedException {
    Path tar = bundle("*--require*) echo \"unpacked: $*\"; exit 1 ;;");
    Path bundle = folder.resolve("bundle.tar.xz");
    String compress =
        "import lzma, sys; lzma.open(sys.argv[2], 'w').write(open(sys.argv[1], 'rb').read())";
    assertEquals(0, run(Map.of(), "python3", "-c", compress, tar, bundle).status);
    Path xz = Files.createDirectories(folder.resolve("bin")).resolve("xz");
    Files.writeString(xz, "#!/bin/sh\nexit 127\n");
    assertTrue(xz.toFile().setExecutable(true));
    Map<String, String> path = Map.of("PATH", xz.getParent() + ":" + System.getenv("PATH"));
    assertNotEquals(0, run(path, "tar", "-C", xz.getParent(), "-xf", bundle).status);
    Result result = run(path, SCRIPT, "facts", bundle);
    String said = Files.readString(out().resolve("facts-doctor.txt"));
    assertTrue(said.contains("unpacked: "), () -> said + result.output);
  }

  @Test
  void lawsThatDidNotRunAreAFailure() throws IOException, InterruptedException {
    Path bundle = bundle("*execute*) echo '[         0 tests successful      ]' ;;");
    Result result = run(Map.of(), SCRIPT, "facts", bundle);
    assertNotEquals(0, result.status, result.output);
    assertTrue(result.output.contains("laws: none ran"), result.output);
  }

  /** Once, and not taken for tried because laws ran. */
  @Test
  void triesAttentionByCudnn() throws IOException, InterruptedException {
    Path bundle =
        bundle(
            """
            *execute*AttentionGraphsTest#agreesOnADevice*) echo "$*"; echo '[  0 tests successful ]' ;;
            *execute*) echo '[        12 tests successful      ]' ;;
            """);
    Result result = run(Map.of("LIMIT", "60"), SCRIPT, "facts", bundle);
    String said = Files.readString(out().resolve("facts-laws.txt"));
    assertTrue(said.contains("-Dreverie.cuda.attention=cudnn"), said);
    assertTrue(result.output.contains("cudnn attention: none ran"), result.output);
    assertFalse(result.output.contains("laws: none ran"), result.output);
  }

  @Test
  void aStepThatFailsOrHangsCostsOnlyItself() throws IOException, InterruptedException {
    Path bundle =
        bundle(
            """
            *sd-4-sampling-bf16*) echo boom; exit 3 ;;
            *sd-4-ddpo-bf16*) sleep 100 ;;
            *execute*) echo '[        12 tests successful      ]' ;;
            """);
    Result result = run(Map.of("LIMIT", "16"), SCRIPT, "facts", bundle);
    assertTrue(result.output.contains("failed: ours sd-4-sampling-bf16 ours sd"), result.output);
    List<String> logs;
    try (Stream<Path> files = Files.list(out())) {
      logs = files.map(file -> file.getFileName().toString()).sorted().toList();
    }
    assertTrue(logs.size() <= 8, logs::toString);
    assertTrue(Files.readString(out().resolve("facts-bench.txt")).contains("boom"), result.output);
    assertTrue(result.output.contains("no time left"), result.output);
  }
}
