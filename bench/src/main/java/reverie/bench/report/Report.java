// SPDX-License-Identifier: Apache-2.0
package reverie.bench.report;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import reverie.bench.measure.Roofline;
import reverie.tensor.ReverieException;

/** Writes results as a page of Markdown with the plot of the roofline. */
public final class Report {
  private Report() {}

  /** Writes README.md and roofline.svg; what was not measured is left out. */
  public static void write(Path folder, Results results) {
    try {
      Files.createDirectories(folder);
      if (results.operations() != null && !results.operations().isEmpty()) {
        Files.writeString(
            folder.resolve("roofline.svg"),
            RooflinePlot.draw(results.operations(), results.roofline()));
      }
      Files.writeString(folder.resolve("README.md"), page(results));
    } catch (IOException e) {
      throw new ReverieException(
          "bench: " + folder + " cannot be written: " + e, "check permissions and free space", e);
    }
  }

  static String page(Results results) {
    StringBuilder page = new StringBuilder();
    page.append(
        String.format(
            Locale.ROOT,
            """
            # Benchmarks

            Made by one run of `%s`, which writes this page.

            ## Machine

            %s, %s threads, %s; Java %s; Reverie %s, %s.
            """,
            results.command(),
            results.machine().get("cpu"),
            results.machine().get("threads"),
            results.machine().get("os"),
            results.machine().get("java"),
            results.machine().get("revision"),
            results.device()));
    if (results.roofline() != null) {
      page.append(roofline(results.roofline()));
    }
    if (results.peers() != null) {
      page.append(peers(results.peers()));
    }
    if (results.profiles() != null && !results.profiles().isEmpty()) {
      page.append(
          """

          ## Where the time goes

          Each step of this engine by operation, in milliseconds of one thread: every thread works
          on slices of the batch of its own. The time in the heading is that of the step on one thread.
          The limit of an operation is the longer of the times that its arithmetic and its bytes need
          at one thread's best in fused multiply-adds. More than all of it have convolutions by
          Winograd's algorithm, which need less arithmetic than their definition, by which they are
          counted, and products on the tile unit, where there is one.
          [What limits the whole](limits.md).
          """);
      for (Profiled profiled : results.profiles()) {
        page.append(Tables.text("%n### %s, %.1f ms%n%n", profiled.name(), profiled.millis()));
        page.append(Tables.profile(profiled));
      }
    }
    if (results.scaling() != null) {
      page.append(
          """

          ## Scaling

          The small model, its samples guided; where nothing else is said, 16×16 pixels, 32 and 64
          channels, all threads. Resolutions are measured with 8 samples, channels and chains with
          16, threads with 64.

          """);
      page.append(Tables.scaling(results.scaling()));
    }
    if (results.operations() != null && !results.operations().isEmpty()) {
      page.append(
          """

          ## Operations

          ![operations under the roofline](roofline.svg)

          """);
      page.append(Tables.operations(results.operations()));
    }
    return page.toString();
  }

  private static String roofline(Roofline r) {
    return String.format(
        Locale.ROOT,
        """

        Measured at the same time: %.0f GFLOP/s of fused multiply-adds in registers with %d threads
        (%.0f with one), %.1f GB/s from and to memory.
        """,
        r.gflops(),
        r.threads(),
        r.gflopsOneThread(),
        r.gigabytes());
  }

  private static String peers(PeerResults peers) {
    return """

    ## Beside LibTorch

    Whole steps in float32: `icons` is a 16×16 U-Net with 32 and 64 channels at batch 64, `large` a
    32×32 U-Net with 64, 128 and 128 channels at batch 16. Guidance computes every sample twice;
    this engine, unlike LibTorch, shares what comes before the first cross-attention, and the empty
    prompt's keys and values. *sampling* is one guided DDIM step; *ddpo* forward and backward through
    both branches of guidance, gradient clipping and AdamW; *pretraining* the same for the denoising
    loss.

    LibTorch runs in the same process, on the same weights and numbers, eagerly, with
    `scaled_dot_product_attention` and the fused AdamW. It is tried in two builds, contiguous and
    channels-last, with several settings of its threads, and compared in its fastest way. The first
    step's results (latents; loss, every first moment, that is every clipped gradient, and the
    parameters) must agree to 1e-4 before anything is timed. After 24 turns each that do
    not count, times are taken in turn with pauses between; the ratio is the median over the rounds
    with its 95 % bootstrap interval.

    """
        + Tables.steps(peers.rows())
        + """

        Against each build:

        """
        + Tables.steps(peers.all())
        + """

        ### Memory

        Peak resident memory of a process that makes this step on one side only, above what it held
        before the model was made.

        """
        + Tables.memory(peers.rows())
        + """

        ### Accuracy

        Relative error, in the norm, against float64 on the same weights; the gradient is that of a mean
        squared error with respect to all parameters. [How exact convolutions are](winograd.md).

        """
        + Tables.accuracy(peers.accuracy());
  }
}
