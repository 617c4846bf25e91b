// SPDX-License-Identifier: Apache-2.0
package reverie.bench.peer;

import java.util.List;
import java.util.function.Consumer;
import java.util.function.Function;
import reverie.app.command.Benchmarks.Way;
import reverie.bench.measure.Ratio;
import reverie.bench.measure.Rounds;
import reverie.bench.report.CudaRow;
import reverie.bench.step.Batch;
import reverie.bench.step.Case;
import reverie.bench.step.Model;
import reverie.bench.step.OurStep;
import reverie.bench.step.StepSettings;
import reverie.bench.step.Weights;
import reverie.tensor.Device;
import reverie.tensor.Interpreter;
import reverie.tensor.Rng;
import reverie.tensor.cuda.CudaBackend;
import reverie.tensor.cuda.driver.Precision;
import reverie.tensor.debug.Profile;
import reverie.unet.UNet;

/**
 * Measures whole steps on a CUDA device, alone or in turn with PyTorch on the same: both processes
 * live at the same time, and what they compute is compared first. Each row has a device of its own,
 * so that neither memory nor a failure of one reaches the next.
 */
public final class CudaBenchmark {
  /** Long beside the time it takes to ask for a step. */
  private static final double ROUND_MILLIS = 200;

  private static final int MAX_REPEATS = 100;

  /**
   * Rounded to bfloat16 the two sides' log-probabilities differ by more than the authors' range,
   * and other samples would be clipped.
   */
  private static final double CLIP_RANGE = 0.1;

  private final StepSettings settings = StepSettings.usual().withClipRange(CLIP_RANGE);
  private final Function<Precision, CudaBackend> devices;
  private final String python;
  private final String peerDevice;
  private final int rounds;

  /**
   * A benchmark.
   *
   * @param devices opens the device
   * @param python the interpreter that has PyTorch
   * @param peerDevice where PyTorch computes: {@code cuda}, or {@code cpu} for a test
   * @param rounds times, or pairs of times, for each row
   */
  public CudaBenchmark(
      Function<Precision, CudaBackend> devices, String python, String peerDevice, int rounds) {
    this.devices = devices;
    this.python = python;
    this.peerDevice = peerDevice;
    this.rounds = rounds;
  }

  /**
   * Measures case after case in each way. What fails is a row that says why.
   *
   * @param profile whether to add where the time of our own steps goes
   * @param each takes every row as soon as it is known
   */
  public void run(List<Case> cases, List<Way> ways, boolean profile, Consumer<CudaRow> each) {
    for (Case c : cases) {
      for (Way way : ways) {
        each.accept(row(c, way, profile));
      }
    }
  }

  private CudaRow row(Case c, Way way, boolean profile) {
    try (CudaBackend backend = devices.apply(c.precision())) {
      Device device = new Device(backend);
      return way == Way.OURS ? alone(c, device, profile) : beside(c, device, way);
    } catch (RuntimeException | Error e) {
      return CudaRow.failed(c.name(), way.title(), e);
    }
  }

  private CudaRow alone(Case c, Device device, boolean profile) {
    try (UNet model = Weights.random(c.subject(), device);
        Batch batch = new Batch(c.subject(), c.batch(), device, settings, Rng.of(2))) {
      batch.draw(model);
      try (OurStep step = new OurStep(c.kind(), model, batch, settings)) {
        step.run();
        int repeats = repeats(millis(step, device, 1));
        double[] times = new double[rounds];
        for (int i = 0; i < rounds; i++) {
          times[i] = millis(step, device, repeats) / repeats;
        }
        CudaRow.Side ours = ours(device, times);
        List<Profile.Row> operations = profile ? profile(step) : null;
        return new CudaRow(c.name(), Way.OURS.title(), null, ours, null, null, null, operations);
      }
    }
  }

  private static List<Profile.Row> profile(OurStep step) {
    Profile profile = new Profile(Interpreter.current());
    step.profile(profile);
    return profile.rows();
  }

  private CudaRow beside(Case c, Device device, Way way) {
    String script;
    try (Model shapes = Model.shapes(c.subject(), c.kind())) {
      script = StepScript.of(shapes, settings, true);
    }
    String precision = c.precision().label();
    try (PythonTorch torch = new PythonTorch(python, peerDevice, precision, way, script)) {
      // Asked first: nothing is made for a peer that cannot answer.
      String title = torch.title();
      try (UNet model = Weights.random(c.subject(), device);
          Batch batch = new Batch(c.subject(), c.batch(), device, settings, Rng.of(2))) {
        batch.draw(model);
        Model all = Model.of(model);
        try (PeerStep peer = new PeerStep(c.kind(), all, batch, torch);
            OurStep ours = new OurStep(c.kind(), all, batch, settings)) {
          Agreement found = Agreement.of(c.kind(), all, ours, peer, tolerance(c.precision()));
          int repeats = repeats(millis(ours, device, 1));
          Rounds times =
              Rounds.of(
                  () -> millis(ours, device, repeats) / repeats,
                  () -> peer.millis(repeats) / repeats,
                  rounds);
          return new CudaRow(
              c.name(),
              way.title(),
              null,
              ours(device, times.first()),
              CudaRow.Side.of(title, torch.peakMegabytes(), times.second()),
              Ratio.of(times.second(), times.first()),
              new CudaRow.Agreement(
                  found.tensor(), found.error(), found.tolerance(), found.holds()),
              null);
        }
      }
    }
  }

  private static CudaRow.Side ours(Device device, double... times) {
    return CudaRow.Side.of(device.describe(), device.liveBytes() / 0x1p20, times);
  }

  /** What rounding explains: factors have 24, 11 and 8 bits, and algorithms differ. */
  private static Agreement.Tolerance tolerance(Precision precision) {
    return switch (precision) {
      case FLOAT32 -> new Agreement.Tolerance(1e-3, 1e-3);
      case TF32 -> new Agreement.Tolerance(2e-3, 1e-2);
      case BF16 -> new Agreement.Tolerance(2e-2, 0.1);
    };
  }

  private static int repeats(double millis) {
    return (int) Math.clamp(Math.ceil(ROUND_MILLIS / millis), 1, MAX_REPEATS);
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
