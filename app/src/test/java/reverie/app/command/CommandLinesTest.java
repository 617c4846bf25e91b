// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.app.config.FinetuneConfig;
import reverie.app.config.PretrainConfig;
import reverie.app.data.ImageSize;
import reverie.app.data.PngImages;
import reverie.app.data.PreferenceFile;
import reverie.app.run.RunFolder;
import reverie.tensor.cuda.Cuda;
import reverie.tensor.io.Safetensors;

class CommandLinesTest extends CommandTest {
  private static final String VECTORS =
      "../unet/src/test/resources/reverie/unet/unet2d_micro.safetensors";

  @TempDir Path folder;

  @Test
  void helpShowsExamples() {
    assertEquals(0, run("--help"));
    assertTrue(out.toString().contains("./reverie quickstart"), out::toString);
    assertEquals(0, run("doctor", "--help"));
    assertTrue(out.toString().contains("Examples:"), out::toString);
    assertEquals("", err.toString());
  }

  @Test
  void presetsAreNamedWhereTheyAreTaken() {
    assertEquals(0, run("finetune", "--help"));
    assertTrue(out.toString().contains("than the defaults: quickstart."), out::toString);
    assertEquals(ExitCode.USAGE, run("finetune", "--preset", "quick"));
    assertMessage("--preset quick: there is no such preset", "the presets are: quickstart");
    assertEquals(ExitCode.USAGE, run("pretrain", "--preset", "quickstart"));
    assertMessage("'--preset'", "hint: ");
  }

  @Test
  void saysItsVersion() {
    assertEquals(0, run("--version"));
    assertTrue(out.toString().startsWith("reverie 0."), out::toString);
  }

  @Test
  void completesItself() {
    assertEquals(0, run("generate-completion"));
    assertTrue(out.toString().contains("complete -F"), out::toString);
  }

  @Test
  void wrongUsageGetsOneMessageAndOneHint() {
    assertEquals(ExitCode.USAGE, run());
    assertMessage("reverie: a command is missing", "./reverie --help");
    assertEquals(ExitCode.USAGE, run("doctr"));
    assertMessage("'doctr'", "did you mean doctor?");
    assertEquals(ExitCode.USAGE, run("doctor", "--quite-unlike"));
    assertMessage("Unknown option: '--quite-unlike'", "./reverie doctor --help");
    assertEquals(ExitCode.USAGE, run("doctor", "--quite\u001b[31munlike"));
    assertMessage("'--quite\\u001b[31munlike'", "./reverie doctor --help");
    for (String[] number : new String[][] {{"NaN", "NaN"}, {"1e400", "Infinity"}, {"-1", "-1"}}) {
      assertEquals(ExitCode.USAGE, run("sample", "--prompt", "cat", "--guidance", number[0]));
      assertTrue(
          err.toString().contains("--guidance " + number[1] + ": expected from 0 to 100\nhint: "),
          err::toString);
    }
    assertEquals(ExitCode.USAGE, run("sample", "--prompt", "cat", "--weights", "int4"));
    assertMessage("reverie: weights: expected one of", "fp32, fp16 and bf16");
  }

  @Test
  void givenImagesAreJudged() throws IOException {
    Path images = Files.createDirectory(folder.resolve("images"));
    String text = "";
    for (int i = 0; i < 5; i++) {
      BufferedImage image = new BufferedImage(16, 16, BufferedImage.TYPE_INT_RGB);
      for (int p = 0; p < 256; p++) {
        image.setRGB(p % 16, p / 16, p * i * 7919);
      }
      PngImages.write(images.resolve(i + ".png"), image);
      text += "{\"file_name\": \"%d.png\", \"text\": \"%s\"}\n".formatted(i, i == 2 ? "b" : "a");
    }
    Files.writeString(images.resolve("metadata.jsonl"), text);
    String out = folder.resolve("out").toString();
    assertEquals(0, run("preferences", "--images", images.toString(), "--out", out));
    PreferenceFile read =
        PreferenceFile.read(folder.resolve("out/preferences.jsonl"), ImageSize.square(16));
    assertEquals(2, read.size());
    assertEquals(-1, read.get(0).chosen()[3 * 255], "the blank image is the smaller file");
    assertEquals(ExitCode.USAGE, run("preferences", "--images", images.toString(), "--out", out));
    assertMessage("exists already", "--out");
  }

  @Test
  void benchmarksAreNoPartOfTheApplication() {
    assertEquals(ExitCode.BAD_INPUT, run("bench"));
    assertMessage("the benchmarks are not on the class path", "./reverie bench");
  }

  @Test
  void aRunOfAnotherCommandIsNotResumed() throws IOException {
    Path run = Files.createDirectory(folder.resolve("a run"));
    Path config = run.resolve(RunFolder.CONFIG);
    Files.writeString(config, PretrainConfig.READER.read(null, null, List.of()).yaml());
    for (String command : List.of("finetune", "quickstart")) {
      assertEquals(ExitCode.USAGE, run(command, "--resume", run.toString()));
      assertMessage(
          "this is a run of pretrain, not of finetune",
          "go on with it by ./reverie pretrain --resume '" + run + "'");
    }
    Files.writeString(config, FinetuneConfig.READER.read(null, null, List.of()).yaml());
    assertEquals(ExitCode.USAGE, run("pretrain", "--resume", run.toString()));
    assertMessage("this is a run of finetune, not of pretrain", "./reverie finetune --resume '");
    Files.writeString(config, "colour: red\n");
    assertEquals(ExitCode.USAGE, run("pretrain", "--resume", run.toString()));
    assertMessage("unknown key 'colour'", "known keys");
    Files.delete(config);
    assertEquals(ExitCode.BAD_INPUT, run("pretrain", "--resume", run.toString()));
    assertMessage("this is no run folder", "a study goes on by the same ./reverie reproduce");
    for (String command : List.of("pretrain", "finetune")) {
      assertEquals(ExitCode.BAD_INPUT, run(command, "--resume", run.resolve("x").toString()));
      assertMessage("x: there is no such folder", "relative to where you are");
    }
  }

  /** Whatever it is that is printed. */
  @Test
  void namesOfFilesCannotCommandATerminal() throws IOException {
    Path evil = folder.resolve("a\u001b]0;owned\u0007.safetensors");
    Files.copy(Path.of(VECTORS), evil);
    assertEquals(0, run("check", evil.toString()));
    assertTrue(
        out.toString().contains("a\\u001b]0;owned\\u0007.safetensors  U-Net"), out::toString);
    assertFalse(out.toString().contains("\u001b"), out::toString);
  }

  /** Such as @home, which picocli would take for a file of arguments. */
  @Test
  void aPromptMayBeginWithAnAt() throws Exception {
    Path file = Files.writeString(folder.resolve("more"), "--no-such-option");
    Session session = new Session(List.of(), Map.of(), new PrintWriter(out), new PrintWriter(err));
    var parsed = CommandLines.commandLine(session).parseArgs("sample", "--prompt", "@" + file);
    assertEquals(List.of("@" + file), parsed.subcommand().matchedOption("--prompt").getter().get());
  }

  /** What the model of Nouns learnt can be seen without the data set: two backgrounds. */
  @Test
  void nounsAreDrawnWithTheBackgroundsThatTheyAreAskedFor() {
    double difference = blueOverRed("cool") - blueOverRed("warm");
    assertTrue(difference > 5, difference + "");
  }

  /** Of the 256 pixels drawn; the caption beside them is grey. */
  private double blueOverRed(String background) {
    String prompt =
        "cat head, square red glasses, cow accessory, teal body, " + background + " background";
    Path file = folder.resolve(background + ".png");
    List<String> sample = List.of("sample", "--prompt", prompt, "--images", "1", "--scale", "1");
    int status = run(sample, "--model", "nouns", "--device", "cpu", "--out", file.toString());
    assertEquals(0, status, err::toString);
    BufferedImage image = PngImages.read(file);
    int[] pixels =
        image.getRGB(0, 0, image.getWidth(), image.getHeight(), null, 0, image.getWidth());
    return Arrays.stream(pixels).map(p -> (p & 0xff) - (p >> 16 & 0xff)).sum() / 256.0;
  }

  @Test
  void aGridThatIsTooLargeIsRefusedBeforeItIsDrawn() {
    assertEquals(
        ExitCode.BAD_INPUT,
        run("sample", "--prompt", "cat", "--images", "10000", "--scale", "100", "--device", "cpu"));
    assertTrue(err.toString().contains("a grid of 10000 images of 16 has 12896"), err::toString);
  }

  @Test
  void checksGradients() {
    assertEquals(0, run("gradcheck", "softmax", "silu"));
    assertTrue(out.toString().contains("2 operations, 12 checks, 0 failed"), out::toString);
    assertEquals(ExitCode.FAILED_CHECK, run("gradcheck", "softmax", "--tolerance", "1e-30"));
    assertTrue(out.toString().contains("FAILED"), out::toString);
    assertEquals(ExitCode.USAGE, run("gradcheck", "softmx"));
    assertMessage("no operation 'softmx'", "did you mean 'softmax'?");
  }

  @Test
  void checksFilesOfReferenceVectors() {
    assertEquals(0, run("check", VECTORS));
    assertTrue(out.toString().startsWith("ok      " + VECTORS + "  U-Net: worst"), out::toString);
    assertEquals(ExitCode.FAILED_CHECK, run("check", "--all", "--tolerance", "1e-12", VECTORS));
    assertTrue(out.toString().contains("FAILED  " + VECTORS), out::toString);
    assertTrue(out.toString().contains("  output.sample\n"), out::toString);
  }

  @Test
  void saysWhatIsWrongWithAFileAndChecksTheOthers() {
    Path unknown = folder.resolve("unknown.safetensors");
    Safetensors.write(unknown, Map.of(), Map.of("format", "pt"));
    assertEquals(ExitCode.BAD_INPUT, run("check", unknown.toString(), "absent", VECTORS));
    assertTrue(
        err.toString().contains("none of \"config\", \"cases\" and \"pipe\", but [format]"),
        err::toString);
    assertTrue(err.toString().contains("absent"), err::toString);
    assertTrue(out.toString().startsWith("ok "), out::toString);
  }

  @Test
  void theDoctorFindsThisMachineFit() {
    assertEquals(0, run("doctor"));
    assertTrue(out.toString().contains("floats at once"), out::toString);
    assertTrue(out.toString().contains("\nFor an NVIDIA GPU:\n  looked for "), out::toString);
    for (String part : List.of("NVIDIA driver", "cuBLAS", "cuDNN", "kernels")) {
      assertTrue(out.toString().contains("\n  " + part + " "), out::toString);
    }
  }

  @Test
  void theDoctorFailsWithoutTheDeviceThatIsRequired() {
    assumeFalse(Cuda.hasDriver(), "there may be a device here");
    assertEquals(ExitCode.FAILED_CHECK, run("doctor", "--require", "cuda"));
    assertMessage("CUDA is required and does not work: NVIDIA driver", "hint: ");
  }

  @Test
  void theDoctorSaysWhetherThereIsAGpu() {
    Cuda.Part driver = new Cuda.Part("NVIDIA driver", true, "/lib/libcuda.so.1", "13.0", "");
    Cuda.Part missing = new Cuda.Part("cuDNN", false, "not found", "", "install it");
    Cuda.Part device = new Cuda.Part("device", true, "cuda, a card", "", "");
    Finding none = Examination.cuda(List.of(new Cuda.Part("NVIDIA driver", false, "no", "", "x")));
    assertEquals(Finding.ok("CUDA", "not used: no"), none);
    assertEquals(
        Finding.warning("CUDA", "not used: cuDNN: not found", "install it"),
        Examination.cuda(List.of(driver, missing)));
    assertEquals(Finding.ok("CUDA", "cuda, a card"), Examination.cuda(List.of(driver, device)));
    assertEquals(
        """
        For an NVIDIA GPU:
          looked for     found  version   where
          NVIDIA driver  yes    13.0      /lib/libcuda.so.1
          cuDNN          no     -         not found
                                          hint: install it
        """,
        Examination.table(List.of(driver, missing)));
  }

  @Test
  void computesWhereItIsTold() {
    assertEquals(0, run("check", "--device", "cpu", VECTORS));
    assertTrue(err.toString().startsWith("computing on cpu, "), err::toString);
    assertEquals(ExitCode.USAGE, run("check", "--device", "tpu", VECTORS));
    assertMessage("expected one of [cpu, cuda, best]", "./reverie check --help");
  }

  @Test
  void aMissingGpuIsSaid() {
    assumeFalse(Cuda.hasDriver(), "this machine may have a GPU");
    assertEquals(ExitCode.BAD_INPUT, run("check", "--device", "cuda", VECTORS));
    assertMessage("NVIDIA driver (libcuda.so.1) was found in none of", "install NVIDIA's driver");
    assertEquals(0, run("check", "--device", "best", VECTORS));
    assertTrue(err.toString().startsWith("computing on cpu, "), err::toString);
  }

  @Test
  void theDoctorWarnsOfJavaThatDamagesData() {
    Finding old = Examination.java(Runtime.Version.parse("25.0.2+7"), true);
    assertEquals(Finding.State.WARNING, old.state());
    assertTrue(old.detail().contains("JDK-8377811); this process uses it"), old::detail);
    assertEquals(
        Finding.State.OK, Examination.java(Runtime.Version.parse("25.0.3+9-LTS"), true).state());
    assertEquals(Finding.State.OK, Examination.java(Runtime.Version.parse("26+35"), true).state());
    assertEquals(
        Finding.State.PROBLEM, Examination.java(Runtime.Version.parse("21.0.4"), false).state());
  }

  private void assertMessage(String what, String hint) {
    String[] lines = err.toString().split("\n");
    assertEquals(2, lines.length, err::toString);
    assertTrue(lines[0].contains(what), err::toString);
    assertTrue(lines[1].startsWith("hint: ") && lines[1].contains(hint), err::toString);
    assertFalse(err.toString().contains("\tat "));
  }

  private int run(String... arguments) {
    return run(List.of(arguments));
  }
}
