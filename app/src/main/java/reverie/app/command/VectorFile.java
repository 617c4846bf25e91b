// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import reverie.diffusion.ChainVectorCheck;
import reverie.pipeline.PipelineCheck;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.io.Safetensors;
import reverie.unet.VectorCheck;

/**
 * A file of reference vectors, or a part of one, compared with what this engine computes.
 *
 * @param kind what it holds
 * @param extent how much was compared
 * @param comparisons every tensor, in the order of the file; empty for what is not compared
 */
record VectorFile(String kind, String extent, List<Comparison> comparisons) {
  private static final String UNET = "config";
  private static final int NAMES_SHOWN = 5;

  /**
   * One tensor.
   *
   * @param tensor its name
   * @param error relative, norm-wise
   */
  record Comparison(String tensor, double error) {}

  /**
   * Does what the file's metadata asks for.
   *
   * @param pipeline the folder that vectors of a pipeline belong to, or null
   */
  static List<VectorFile> check(Path file, Path pipeline, Device device) {
    Set<String> metadata;
    try (Safetensors vectors = Safetensors.open(file)) {
      metadata = vectors.metadata().keySet();
    }
    if (metadata.contains(UNET)) {
      List<Comparison> rows =
          VectorCheck.check(file, device).stream()
              .map(row -> new Comparison(row.name(), row.relativeError()))
              .toList();
      return List.of(new VectorFile("U-Net", rows.size() + " tensors", rows));
    }
    if (metadata.contains(ChainVectorCheck.KEY)) {
      List<ChainVectorCheck.Row> rows = ChainVectorCheck.run(file, device);
      int compared = rows.stream().mapToInt(ChainVectorCheck.Row::rows).sum();
      int excluded = rows.stream().mapToInt(ChainVectorCheck.Row::excluded).sum();
      return List.of(
          new VectorFile(
              "reverse chains",
              String.format(
                  Locale.ROOT,
                  "%d rows, and %d without a decision (sigma is 0)",
                  compared,
                  excluded),
              rows.stream()
                  .map(row -> new Comparison(row.tensor() + " of " + row.settings(), row.error()))
                  .toList()));
    }
    if (metadata.contains(PipelineCheck.KEY)) {
      return pipeline(file, pipeline, device);
    }
    throw new ReverieException(
        String.format(
            Locale.ROOT,
            "check %s: its metadata has none of \"%s\", \"%s\" and \"%s\", but %s",
            file,
            UNET,
            ChainVectorCheck.KEY,
            PipelineCheck.KEY,
            metadata.isEmpty() ? "nothing" : metadata),
        "reverie check --help says what a file of reference vectors holds");
  }

  private static List<VectorFile> pipeline(Path file, Path folder, Device device) {
    if (folder == null) {
      throw new ReverieException(
          "check " + file + ": these are vectors of a pipeline, whose folder is not given",
          "add --pipeline FOLDER");
    }
    PipelineCheck.Report report = PipelineCheck.check(file, folder, device);
    List<VectorFile> parts = new ArrayList<>();
    for (PipelineCheck.Section section : report.sections()) {
      parts.add(
          new VectorFile(
              section.name(),
              section.rows().size() + " tensors",
              section.rows().stream()
                  .map(row -> new Comparison(row.name(), row.relativeError()))
                  .toList()));
    }
    List<String> left = report.left();
    if (!left.isEmpty()) {
      String first = String.join(", ", left.subList(0, Math.min(NAMES_SHOWN, left.size())));
      String more = left.size() > NAMES_SHOWN ? ", …" : "";
      parts.add(
          new VectorFile("not compared", left.size() + " tensors: " + first + more, List.of()));
    }
    return parts;
  }

  /** The tensor that is furthest off; one that is NaN before all others. */
  Comparison worst() {
    return comparisons.stream().max(Comparator.comparingDouble(Comparison::error)).orElseThrow();
  }
}
