// SPDX-License-Identifier: Apache-2.0
package reverie.pipeline;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.io.Safetensors;
import reverie.unet.VectorCheck;

/** Everything that Python's diffusers computed of two pipelines with random weights. */
class PipelineCheckTest {
  /** With every file of adapters beside the vectors, under all the names there are. */
  @ParameterizedTest
  @CsvSource({"sd1_tiny, 12", "sd2_tiny, 9"})
  void agreesWithDiffusers(String name, int sections) {
    PipelineCheck.Report report =
        PipelineCheck.check(Samples.path(name + ".safetensors"), Samples.path(name), Device.cpu());
    assertEquals(sections, report.sections().size(), report::toString);
    assertEquals(List.of(), report.left());
    for (PipelineCheck.Section section : report.sections()) {
      assertTrue(passes(section.worst()), () -> section.name() + ": " + section.worst());
    }
  }

  @Test
  void anotherGuidanceOrScalingShows(@TempDir Path folder) throws IOException {
    Samples.copy("sd2_tiny", folder.resolve("sd"));
    Samples.edit(folder.resolve("sd/vae/config.json"), "0.18215", "0.18221");
    Samples.edit(folder.resolve("sd/text_encoder/config.json"), "1e-05", "1e-03");
    Path vectors = folder.resolve("sd2_tiny.safetensors");
    Files.copy(Samples.path("sd2_tiny.safetensors"), vectors);
    String adapters = "sd2_tiny_lora_kohya.safetensors";
    writeWithOtherAlphas(Samples.path(adapters), folder.resolve(adapters));
    List<PipelineCheck.Section> wrong =
        PipelineCheck.check(vectors, folder.resolve("sd"), Device.cpu()).sections().stream()
            .filter(section -> !passes(section.worst()))
            .toList();
    assertEquals(
        List.of("text encoder", adapters, "chain, eta 0", "chain, eta 1"),
        wrong.stream().map(PipelineCheck.Section::name).toList());
    // Only what is computed with α depends on it.
    assertEquals(
        List.of("lora.output.sample_alpha"),
        wrong.get(1).rows().stream()
            .filter(row -> !passes(row))
            .map(VectorCheck.Row::name)
            .toList());
  }

  private static boolean passes(VectorCheck.Row row) {
    return row.relativeError() <= VectorCheck.TOLERANCE;
  }

  /** With an α of 2, not 4, for adapters of queries. */
  private static void writeWithOtherAlphas(Path from, Path to) {
    Map<String, Safetensors.Entry> entries = new LinkedHashMap<>();
    try (Safetensors file = Safetensors.open(from)) {
      for (String name : file.names()) {
        float[] values = name.endsWith("to_q.alpha") ? new float[] {2} : file.floats(name);
        entries.put(name, new Safetensors.Entry(DType.F32, file.shape(name), values));
      }
    }
    Safetensors.write(to, entries, Map.of());
  }

  @Test
  void vectorsOfAnotherPipelineAreAnError() {
    assertThrows(
        ReverieException.class,
        () ->
            PipelineCheck.check(
                Samples.path("sd2_tiny.safetensors"), Samples.path("sd1_tiny"), Device.cpu()));
  }
}
