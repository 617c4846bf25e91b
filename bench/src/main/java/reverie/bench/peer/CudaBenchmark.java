// SPDX-License-Identifier: Apache-2.0
package reverie.bench.peer;

import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import java.util.stream.DoubleStream;
import reverie.bench.measure.Ratio;
import reverie.bench.measure.Rounds;
import reverie.bench.report.PeerResults;
import reverie.bench.step.Batch;
import reverie.bench.step.Case;
import reverie.bench.step.OurStep;
import reverie.bench.step.StepSettings;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.cuda.driver.Precision;
import reverie.unet.UNet;

/**
 * Compares whole steps on a graphics processor with PyTorch on the same, eager and compiled: both
 * processes live at the same time and take turns, after they were found to compute the same.
 */
public final class CudaBenchmark {
  /** Long beside the time it takes to ask for a step. */
  private static final double ROUND_MILLIS = 200;

  private static final int MOST_REPEATS = 100;

  private final StepSettings settings = StepSettings.usual();
  private final Function<Precision, Device> devices;
  private final String python;
  private final String peerDevice;
  private final String only;
  private final int rounds;
  private final PrintWriter out;

  /**
   * A comparison.
   *
   * @param devices makes the device for a precision
   * @param python the interpreter that has PyTorch
   * @param peerDevice where PyTorch computes: {@code cuda}, or {@code cpu} for a test
   * @param only rows whose name contains this
   * @param rounds pairs of times for each row
   * @param out for progress
   */
  public CudaBenchmark(
      Function<Precision, Device> devices,
      String python,
      String peerDevice,
      String only,
      int rounds,
      PrintWriter out) {
    this.devices = devices;
    this.python = python;
    this.peerDevice = peerDevice;
    this.only = only;
    this.rounds = rounds;
    this.out = out;
  }

  /** Runs everything whose name contains what is asked for. */
  public PeerResults run() {
    List<PeerResults.Row> rows = new ArrayList<>();
    for (Case c : Case.named(only)) {
      Device device = devices.apply(c.precision());
      for (PythonTorch.Way way : PythonTorch.Way.values()) {
        PeerResults.Row row = compare(c, device, way);
        rows.add(row);
        out.println(row.line());
        out.flush();
      }
    }
    return new PeerResults(rows, rows, List.of());
  }

  PeerResults.Row compare(Case c, Device device, PythonTorch.Way way) {
    String script = StepScript.of(c.subject().config(), settings, true);
    String precision = c.precision().label();
    try (PythonTorch torch = new PythonTorch(python, peerDevice, precision, way, script);
        UNet model = UNet.random(c.subject().config(), device, Rng.of(1));
        Batch batch = new Batch(c.subject(), c.batch(), device, settings, Rng.of(2))) {
      batch.draw(model);
      try (PeerStep peer = new PeerStep(c.kind(), model, batch, torch);
          OurStep ours = new OurStep(c.kind(), model, batch, settings)) {
        double difference =
            Agreement.require(c.kind(), model, ours, peer, tolerance(c.precision()));
        int repeats = repeats(millis(ours, device, 1));
        Rounds times =
            Rounds.of(
                () -> millis(ours, device, repeats) / repeats,
                () -> peer.millis(repeats) / repeats,
                rounds);
        Ratio ratio = Ratio.of(times.second(), times.first());
        return new PeerResults.Row(
            c.name(),
            Ratio.median(times.first()),
            Ratio.median(times.second()),
            ratio.median(),
            ratio.low(),
            ratio.high(),
            device.liveBytes() / 0x1p20,
            torch.peakMegabytes(),
            1,
            device.describe(),
            torch.title(),
            "channels-last, " + way.label(),
            difference,
            DoubleStream.of(times.first()).boxed().toList(),
            DoubleStream.of(times.second()).boxed().toList());
      }
    }
  }

  /** How far results may be apart: factors have 24, 11 and 8 bits, and algorithms differ. */
  private static double tolerance(Precision precision) {
    return switch (precision) {
      case FLOAT32 -> Agreement.TOLERANCE;
      case TF32 -> 0.05;
      case BF16 -> 0.4;
    };
  }

  private static int repeats(double millis) {
    return (int) Math.clamp(Math.ceil(ROUND_MILLIS / millis), 1, MOST_REPEATS);
  }

  private static double millis(OurStep step, Device device, int repeats) {
    return Rounds.time(() -> {
      for (int i = 0; i < repeats; i++) {
        step.run();
      }
      device.backend().synchronize();
    });
  }
}
