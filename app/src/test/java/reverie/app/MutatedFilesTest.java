// SPDX-License-Identifier: Apache-2.0
package reverie.app;

import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.app.choose.ImagePairs;
import reverie.app.data.ImageFile;
import reverie.app.data.ImageFolder;
import reverie.app.data.ImageSize;
import reverie.app.data.PngImages;
import reverie.app.data.PreferenceFile;
import reverie.app.report.Gallery;
import reverie.app.report.Summary;
import reverie.app.run.Metrics;
import reverie.tensor.DType;
import reverie.tensor.Shape;
import reverie.tensor.io.Safetensors;

/**
 * Files with bits flipped, parts cut, doubled and moved, and odd values put in: reading one either
 * works or is one error with a hint. {@code reverie.mutants} says how many are tried of each.
 */
class MutatedFilesTest {
  @TempDir Path folder;

  @Test
  void aMutatedFileIsReadOrRefused() throws IOException {
    FileMutants.tryAll(folder, formats());
  }

  private List<FileMutants.Format> formats() throws IOException {
    BufferedImage image = new BufferedImage(2, 2, BufferedImage.TYPE_INT_ARGB);
    PngImages.write(folder.resolve("a.png"), image);
    PngImages.write(folder.resolve("b.png"), image);
    Path run = Files.createDirectories(folder.resolve("images/g")).getParent().getParent();
    PngImages.write(folder.resolve("images/g/000.png"), image);
    ByteArrayOutputStream jpeg = new ByteArrayOutputStream();
    ImageIO.write(new BufferedImage(8, 8, BufferedImage.TYPE_INT_RGB), "jpeg", jpeg);
    Path tensors = folder.resolve("seed.safetensors");
    Safetensors.writeChecked(
        tensors,
        Map.of("w", new Safetensors.Entry(DType.F32, Shape.of(2, 3), new float[6])),
        Map.of("format", "x"));
    String estimate = "{\"mean\": 1, \"ci95_low\": 0.5, \"ci95_high\": 1.5, \"n\": 8}";
    return List.of(
        new FileMutants.Format(
            "{\"step\":0,\"time\":\"x\",\"loss\":0.5}\n{\"step\":1,\"loss\":null}\n",
            "metrics.jsonl",
            _ -> Metrics.read(run)),
        new FileMutants.Format(
            "{\"reward_before\": E, \"reward_after\": E, \"heldout_before\": E, \"heldout_after\": E, "
                    .replace("E", estimate)
                + "\"retrieval_before\": E, \"retrieval_after\": E, ".replace("E", estimate)
                + "\"reward_change\": E, \"heldout_change\": E, ".replace("E", estimate)
                + "\"reward_queries\": 8, \"seconds\": 1.5, \"peak_rss_mb\": null,"
                + " \"ratio_self_test_max_deviation\": 0}",
            "summary.json",
            _ -> Summary.read(run)),
        new FileMutants.Format(
            "{\"prompt\": \"x\", \"images\": [\"a.png\", \"b.png\"]}\n"
                + "{\"prompt\": \"y\", \"images\": [\"b.png\", \"a.png\"]}\n",
            "pairs.jsonl",
            _ -> ImagePairs.read(folder)),
        new FileMutants.Format(
            "[{\"file\": \"000.png\", \"prompt\": \"a cat\", \"note\": \"7 bytes\"}]",
            "images/g/gallery.json",
            _ -> Gallery.read(run, "g")),
        new FileMutants.Format(
            "{\"prompt\": \"x\", \"images\": [\"a.png\", \"b.png\"], \"choice\": 0}\n"
                + "{\"caption\": \"y\", \"jpg_0\": \"a.png\", \"jpg_1\": \"b.png\", \"label_0\":"
                + " 0.5}\n",
            "preferences.jsonl",
            file -> PreferenceFile.read(file, ImageSize.square(2))),
        new FileMutants.Format(
            "file_name,text\na.png,\"a, \"\"cat\"\"\"\nb.png,dog\n",
            "metadata.csv",
            _ -> ImageFolder.read(folder)),
        new FileMutants.Format(
            PngImages.png(image), "mutant.png", file -> ImageFile.read("test", file)),
        new FileMutants.Format(
            jpeg.toByteArray(), "mutant.jpg", file -> ImageFile.read("test", file)),
        new FileMutants.Format(
            Files.readAllBytes(tensors),
            "mutant.safetensors",
            file -> {
              try (Safetensors opened = Safetensors.open(file)) {
                for (String name : opened.names()) {
                  if (opened.dtype(name).isFloating()) {
                    opened.floats(name);
                  }
                }
              }
            }));
  }
}
