// SPDX-License-Identifier: Apache-2.0
package reverie.architecture;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.io.StringWriter;
import java.lang.module.ModuleDescriptor;
import java.lang.module.ModuleFinder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.tools.JavaCompiler;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The published modules as a user's program meets them: compiled and run on the module path. */
class ModulePathTest {
  private static final Path CONSUMER = Project.ROOT.resolve("architecture/src/test/consumer");

  @TempDir private Path folder;

  /** Everything a consumer needs; the application and what it alone uses are left out. */
  private static String modulePath() {
    Set<String> needed = Set.of("tensor", "autograd", "unet", "diffusion", "rl", "pipeline");
    return Project.classPath().stream()
        .filter(entry -> {
          Path module = entry.endsWith("classes") ? entry.getParent().getParent() : null;
          return module != null
              ? needed.contains(module.getFileName().toString())
              : Stream.of("jackson", "jcuda", "jcublas", "jcudnn", "commons-math3", "reverie-")
                  .anyMatch(entry.getFileName().toString()::startsWith);
        })
        .map(Path::toString)
        .collect(Collectors.joining(File.pathSeparator));
  }

  @Test
  void aConsumerTrainsAStepAndSaves() throws IOException, InterruptedException {
    Path classes = folder.resolve("consumer");
    JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    StringWriter messages = new StringWriter();
    try (var files = compiler.getStandardFileManager(null, null, StandardCharsets.UTF_8)) {
      boolean compiled =
          compiler
              .getTask(
                  messages,
                  files,
                  null,
                  List.of("-p", modulePath(), "-d", classes.toString()),
                  null,
                  files.getJavaFileObjects(
                      CONSUMER.resolve("module-info.java"),
                      CONSUMER.resolve("consumer/Consumer.java")))
              .call();
      assertTrue(compiled, messages.toString());
    }
    Path output = folder.resolve("output.txt");
    Process java =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx512m",
                "--add-modules=jdk.incubator.vector",
                "--enable-native-access=reverie.tensor",
                "-Dreverie.threads=2",
                "-p",
                modulePath() + File.pathSeparator + classes,
                "-m",
                "consumer/consumer.Consumer",
                folder.resolve("model").toString())
            .redirectErrorStream(true)
            .redirectOutput(output.toFile())
            .start();
    boolean ended = java.waitFor(120, TimeUnit.SECONDS);
    java.destroyForcibly();
    String said = Files.readString(output);
    assertTrue(ended && java.exitValue() == 0, said);
    assertTrue(
        said.contains(
            "module consumer on cpu: loss fell true, captured true, read back with difference 0.0"),
        said);
    assertTrue(Files.exists(folder.resolve("model/diffusion_pytorch_model.safetensors")));
  }

  /** Backends, kernels and threads may change from day to day; what is exported is kept. */
  @Test
  void tensorExportsWhatUsersNeedAndNoMore() {
    ModuleDescriptor tensor =
        ModuleFinder.of(
                Stream.of(modulePath().split(File.pathSeparator))
                    .map(Path::of)
                    .toArray(Path[]::new))
            .find("reverie.tensor")
            .orElseThrow()
            .descriptor();
    Set<String> open =
        tensor.exports().stream()
            .filter(export -> !export.isQualified())
            .map(ModuleDescriptor.Exports::source)
            .collect(Collectors.toSet());
    assertEquals(
        Set.of(
            "reverie.tensor",
            "reverie.tensor.catalog",
            "reverie.tensor.debug",
            "reverie.tensor.graph",
            "reverie.tensor.io",
            "reverie.tensor.op",
            "reverie.tensor.spi"),
        open);
  }
}
