// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;

/** Compares this engine with files of reference vectors that other implementations wrote. */
@Command(
    name = "check",
    description = "Compare with reference vectors that Python's public code computed.",
    footer = {
      "",
      "A file is safetensors, known by its metadata: \"config\" (a U-Net's config.json with",
      "weights, inputs, output, loss and every gradient), \"cases\" (steps of DDIM and chains of flows",
      "with their log-probabilities) or \"pipe\" (tokens, text states, autoencoder, U-Net, adapters and",
      "whole chains of the Stable Diffusion folder that --pipeline names).",
      "",
      "Example:",
      "  ./reverie check unet2d_micro.safetensors ddim_log_prob.safetensors",
      "  ./reverie check sd1_tiny.safetensors --pipeline sd1_tiny"
    })
final class CheckCommand implements Callable<Integer> {
  private static final double TOLERANCE = 1e-4;

  private final Session session;
  @Mixin private DeviceOption deviceOption;

  @Parameters(arity = "1..*", paramLabel = "FILE", description = "Files of reference vectors.")
  private List<Path> files;

  @Option(
      names = "--pipeline",
      paramLabel = "FOLDER",
      description = "The folder of diffusers that the vectors were computed with.")
  private Path pipeline;

  @Option(
      names = "--tolerance",
      paramLabel = "ERROR",
      converter = ToleranceConverter.class,
      description = "Largest relative error, norm-wise per tensor. Default: ${DEFAULT-VALUE}")
  private double tolerance = TOLERANCE;

  @Option(names = "--all", description = "Print every tensor, not only the worst of each file.")
  private boolean all;

  @Option(
      names = "--reference",
      description = "Compute in float64 on the reference device instead (slow).")
  private boolean reference;

  CheckCommand(Session session) {
    this.session = session;
  }

  @Override
  public Integer call() {
    int code = ExitCode.OK;
    Device device = reference ? Device.reference() : deviceOption.open(session);
    for (Path file : files) {
      try {
        boolean passed = check(file, device);
        code = Math.max(code, passed ? ExitCode.OK : ExitCode.FAILED_CHECK);
      } catch (ReverieException e) {
        // The other files deserve their check too.
        code = Math.max(code, Failures.report(session, e));
      }
    }
    return code;
  }

  private boolean check(Path file, Device device) {
    long started = System.nanoTime();
    List<VectorFile> parts = VectorFile.check(file, pipeline, device);
    double seconds = (System.nanoTime() - started) * 1e-9;
    boolean passed = true;
    for (VectorFile part : parts) {
      passed &= print(file, part);
    }
    session.out().printf(Locale.ROOT, "        %s took %.1f s%n", file, seconds);
    session.out().flush();
    return passed;
  }

  private boolean print(Path file, VectorFile checked) {
    if (checked.comparisons().isEmpty()) {
      session.out().println("note    " + file + "  " + checked.kind() + ": " + checked.extent());
      return true;
    }
    VectorFile.Comparison worst = checked.worst();
    if (all) {
      checked
          .comparisons()
          .forEach(c -> session.out().println("  " + error(c) + "  " + c.tensor()));
    }
    // NaN compares false with everything and so must not pass.
    boolean passed = worst.error() <= tolerance;
    session
        .out()
        .println(
            String.format(
                Locale.ROOT,
                "%s  %s  %s: worst relative error %s in %s (%s)",
                passed ? "ok    " : "FAILED",
                file,
                checked.kind(),
                error(worst),
                worst.tensor(),
                checked.extent()));
    return passed;
  }

  private static String error(VectorFile.Comparison comparison) {
    return String.format(Locale.ROOT, "%.2e", comparison.error());
  }
}
