// SPDX-License-Identifier: Apache-2.0
package reverie.bench.peer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import reverie.autograd.nn.Parameter;
import reverie.autograd.nn.Parameters;
import reverie.bench.step.Kind;
import reverie.bench.step.Model;
import reverie.bench.step.StepSettings;
import reverie.bench.step.Subject;
import reverie.tensor.ReverieException;
import reverie.unet.UNet;
import reverie.unet.UNetConfig;

class UNetScriptTest {
  @ParameterizedTest
  @EnumSource
  void everyParameterIsUsedOnce(Subject subject) {
    for (Kind kind : subject.kinds()) {
      try (Model shapes = Model.shapes(subject, kind)) {
        List<Integer> used =
            Pattern.compile("p\\[(\\d+)\\]")
                .matcher(StepScript.of(shapes, StepSettings.usual(), true))
                .results()
                .map(m -> Integer.valueOf(m.group(1)))
                .sorted()
                .toList();
        int count = shapes.parameters().size();
        assertEquals(IntStream.range(0, count).boxed().toList(), used, kind.title());
      }
    }
  }

  @Test
  void theModelsAreThoseOfTheTables() {
    assertEquals(1_302_275, count(Subject.ICONS, Kind.SAMPLING));
    assertEquals(10_789_763, count(Subject.LARGE, Kind.SAMPLING));
    // Of Stable Diffusion 1.5.
    assertEquals(859_520_964, count(Subject.SD, Kind.SAMPLING));
    assertEquals(859_520_964 + 797_184, count(Subject.SD, Kind.LORA));
    assertEquals(49_490_199, count(Subject.SD, Kind.DECODING));
  }

  private static long count(Subject subject, Kind kind) {
    try (Model shapes = Model.shapes(subject, kind)) {
      return shapes.parameters().stream().mapToLong(p -> p.shape().size()).sum();
    }
  }

  @Test
  void refusesBlocksThatItDoesNotKnow() {
    UNetConfig config =
        Subject.ICONS.config(
            16, Map.of("down_block_types", List.of("AttnDownBlock2D", "CrossAttnDownBlock2D")));
    ReverieException e =
        assertThrows(ReverieException.class, () -> UNetScript.of(config, null, names(config)));
    assertTrue(e.getMessage().contains("got AttnDownBlock2D"), e.getMessage());
  }

  private static List<String> names(UNetConfig config) {
    try (Parameters shapes = Parameters.shapesOnly()) {
      return new UNet(config, shapes).parameters().all().stream().map(Parameter::name).toList();
    }
  }

  @Test
  void theStepsHaveTheirConstants() {
    try (Model shapes = Model.shapes(Subject.ICONS, Kind.DDPO)) {
      String text = StepScript.of(shapes, StepSettings.usual(), true);
      assertTrue(text.contains("memory_format=2"), text);
      assertTrue(text.contains("eps=1.0000000000000000e-08"), text);
      assertFalse(Pattern.compile("\\b[A-Z][A-Z0-9_]{2,}\\b").matcher(text).find(), text);
      assertTrue(StepScript.of(shapes, StepSettings.usual(), false).contains("memory_format=0"));
    }
  }

  @Test
  void theArchiveHoldsTheModule(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("m.pt");
    ScriptArchive.write(file, "def twice(self, x: Tensor) -> Tensor:\n  return x + x\n");
    try (ZipFile zip = new ZipFile(file.toFile())) {
      assertEquals(ZipEntry.STORED, zip.getEntry("UNet/data.pkl").getMethod());
      ZipEntry code = zip.getEntry("UNet/code/__torch__.py");
      assertEquals(
          """
          class UNet(Module):
            __parameters__ = []
            __buffers__ = []
            def twice(self, x: Tensor) -> Tensor:
              return x + x
          """,
          new String(zip.getInputStream(code).readAllBytes(), StandardCharsets.UTF_8));
    }
  }

  @Test
  void theLargestDifferenceIsSeenAndNaNIsOne() {
    Agreement.Worst worst = new Agreement.Worst();
    see(worst, "same", new float[] {1, 2}, new float[] {1, 2}, 0);
    assertTrue(worst.agreement().holds());
    see(worst, "half", new float[] {3, 0}, new float[] {2, 0}, 0);
    assertEquals(new Agreement("half", 0.5, 0.1), worst.agreement());
    see(worst, "small beside the floor", new float[] {1, 0}, new float[] {0, 0}, 10);
    assertEquals("half", worst.agreement().tensor());
    see(worst, "not a number", new float[] {Float.NaN}, new float[] {1}, 0);
    see(worst, "same", new float[] {1}, new float[] {1}, 0);
    assertEquals("not a number", worst.agreement().tensor());
    assertThrows(ReverieException.class, worst.agreement()::require);
  }

  private static void see(
      Agreement.Worst worst, String name, float[] ours, float[] theirs, double floor) {
    Agreement.Gap gap = new Agreement.Gap(name);
    gap.add(ours, theirs);
    worst.see(gap, floor, 0.1);
  }

  @Test
  void everyBuildIsTriedInSomeSetting() {
    for (LibTorch.Build build : LibTorch.Build.values()) {
      assertTrue(Setting.of(build).contains(Setting.PASSIVE));
    }
    assertFalse(Setting.of(LibTorch.Build.OFFICIAL).contains(Setting.ONE_BLAS));
  }
}
