// SPDX-License-Identifier: Apache-2.0
package reverie.bench;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import reverie.bench.measure.Ratio;
import reverie.bench.measure.Roofline;
import reverie.bench.measure.Rounds;
import reverie.bench.report.OperationRow;
import reverie.bench.report.Profiled;
import reverie.bench.report.ScalingRow;
import reverie.bench.step.Batch;
import reverie.bench.step.Kind;
import reverie.bench.step.OurStep;
import reverie.bench.step.StepSettings;
import reverie.bench.step.Subject;
import reverie.diffusion.ReversePolicy;
import reverie.diffusion.Sampler;
import reverie.tensor.Device;
import reverie.tensor.Interpreter;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.cpu.CpuBackend;
import reverie.tensor.cpu.KernelSet;
import reverie.tensor.debug.Profile;
import reverie.tensor.op.Cost;
import reverie.unet.UNet;
import reverie.unet.UNetConfig;

/** Whole steps of this engine alone: where their time goes, and how it grows. */
final class Steps {
  private static final int WARM_UP = 3;
  private static final int TIMES = 5;

  private final StepSettings settings = StepSettings.usual();
  private final List<ScalingRow> scaling = new ArrayList<>();
  private final Consumer<ScalingRow> progress;

  private Steps(Consumer<ScalingRow> progress) {
    this.progress = progress;
  }

  /** The profiles of the steps whose name contains a word. */
  static List<Profiled> profiles(String word, Roofline roofline, Consumer<Profiled> progress) {
    List<Profiled> profiles = new ArrayList<>();
    for (Subject subject : Subject.usual()) {
      for (Kind kind : subject.kinds()) {
        String name = subject.title() + "-" + kind.title();
        if (name.contains(word)) {
          Profiled profiled = profile(name, subject, kind, roofline);
          progress.accept(profiled);
          profiles.add(profiled);
        }
      }
    }
    return profiles;
  }

  private static Profiled profile(String name, Subject subject, Kind kind, Roofline roofline) {
    StepSettings settings = StepSettings.usual();
    // A slice is one thread's from beginning to end.
    Device device = new Device(new CpuBackend(1, KernelSet.chosen()));
    try (UNet model = UNet.random(subject.config(), device, Rng.of(1));
        Batch batch = new Batch(subject, subject.batch(), device, settings, Rng.of(2));
        OurStep step = new OurStep(kind, model, batch, settings)) {
      double millis = median(step::run);
      Profile profile = new Profile(Interpreter.current());
      for (int i = 0; i < TIMES; i++) {
        step.profile(profile);
      }
      return new Profiled(
          name,
          millis,
          profile.rows().stream()
              .map(row ->
                  OperationRow.of(
                      row.operation(),
                      row.count() / TIMES,
                      (double) row.nanos() / TIMES,
                      Double.NaN,
                      new Cost(row.flops() / TIMES, row.bytes() / TIMES),
                      roofline))
              .toList());
    }
  }

  /** How the cost of a step of the small model grows with what can be changed. */
  static List<ScalingRow> scaling(Consumer<ScalingRow> progress) {
    Steps steps = new Steps(progress);
    Device device = Device.cpu();
    Subject icons = Subject.ICONS;
    for (int batch : new int[] {8, 16, 32, 64, 128}) {
      steps.measure("batch", batch + "", device, icons.config(), icons.side(), batch);
    }
    for (int side : new int[] {8, 16, 32, 64}) {
      String value = side + "×" + side;
      steps.measure("resolution", value, device, icons.config(side, Map.of()), side, 8);
    }
    for (int channels : new int[] {16, 32, 64, 128}) {
      List<Integer> levels = List.of(channels, 2 * channels);
      UNetConfig config = icons.config(icons.side(), Map.of("block_out_channels", levels));
      steps.measure("channels", channels + ", " + 2 * channels, device, config, icons.side(), 16);
    }
    int most = Runtime.getRuntime().availableProcessors();
    IntStream.iterate(1, n -> n <= most, n -> 2 * n)
        .forEach(n ->
            steps.measure(
                "threads",
                n + "",
                new Device(new CpuBackend(n, KernelSet.chosen())),
                icons.config(),
                icons.side(),
                icons.batch()));
    for (int t : new int[] {5, 10, 20}) {
      steps.chain(t);
    }
    return steps.scaling;
  }

  private void measure(
      String what, String value, Device device, UNetConfig config, int side, int n) {
    for (Kind kind : new Kind[] {Kind.SAMPLING, Kind.DDPO}) {
      try (UNet model = UNet.random(config, device, Rng.of(1));
          Batch batch = new Batch(Subject.ICONS, side, n, device, settings, Rng.of(2));
          OurStep step = new OurStep(kind, model, batch, settings)) {
        add(what, value, kind.title(), median(step::run), n);
      }
    }
  }

  /** A whole chain of T steps. */
  private void chain(int t) {
    Device device = Device.cpu();
    int n = 16;
    int side = Subject.ICONS.side();
    try (UNet model = UNet.random(Subject.ICONS.config(), device, Rng.of(1));
        Batch batch = new Batch(Subject.ICONS, side, n, device, settings, Rng.of(2))) {
      ReversePolicy policy = batch.policy(t);
      Rng[] rows = new Rng[n];
      Arrays.setAll(rows, i -> Sampler.row(1, 0, i));
      Runnable chain =
          () -> {
            try (Scope _ = Scope.open("chain")) {
              new Sampler(policy, device)
                  .sample(batch.guidance(model), batch.context(), rows, side, side, 3);
            }
          };
      add("T", t + "", "sampling a chain", median(chain), n);
    }
  }

  private void add(String what, String value, String step, double millis, int n) {
    ScalingRow row = new ScalingRow(what, value, step, millis, millis / n);
    progress.accept(row);
    scaling.add(row);
  }

  private static double median(Runnable work) {
    for (int i = 0; i < WARM_UP; i++) {
      work.run();
    }
    return Ratio.median(IntStream.range(0, TIMES).mapToDouble(_ -> Rounds.time(work)).toArray());
  }
}
