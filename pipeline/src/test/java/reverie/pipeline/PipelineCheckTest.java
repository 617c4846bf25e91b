// SPDX-License-Identifier: Apache-2.0
package reverie.pipeline;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.unet.VectorCheck;

/** Everything that Python's diffusers computed of two pipelines with random weights. */
class PipelineCheckTest {
  /** With every file of adapters beside the vectors, under all the names there are. */
  @ParameterizedTest
  @CsvSource({"sd1_tiny, 12", "sd2_tiny, 9"})
  void agreesWithDiffusers(String name, int sections) {
    List<PipelineCheck.Section> checked =
        PipelineCheck.check(Samples.path(name + ".safetensors"), Samples.path(name), Device.cpu());
    assertEquals(sections, checked.size(), checked::toString);
    for (PipelineCheck.Section section : checked) {
      assertTrue(
          section.worst().relativeError() <= VectorCheck.TOLERANCE,
          () -> section.name() + ": " + section.worst());
    }
  }

  @Test
  void anotherGuidanceOrScalingShows(@TempDir Path folder) throws IOException {
    Samples.copy("sd2_tiny", folder.resolve("sd"));
    Samples.edit(folder.resolve("sd/vae/config.json"), "0.18215", "0.18221");
    Samples.edit(folder.resolve("sd/text_encoder/config.json"), "1e-05", "1e-03");
    List<String> wrong =
        PipelineCheck.check(
                Samples.path("sd2_tiny.safetensors"), folder.resolve("sd"), Device.cpu())
            .stream()
            .filter(section -> !(section.worst().relativeError() <= VectorCheck.TOLERANCE))
            .map(PipelineCheck.Section::name)
            .toList();
    assertEquals(List.of("text encoder", "chain, eta 0", "chain, eta 1"), wrong);
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
