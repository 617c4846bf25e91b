// SPDX-License-Identifier: Apache-2.0
package reverie.bench.peer;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import reverie.bench.step.Batch;
import reverie.bench.step.Kind;
import reverie.bench.step.Model;
import reverie.bench.step.StepSettings;
import reverie.diffusion.NoiseSchedule;
import reverie.diffusion.ReversePolicy;

/** The same step by LibTorch, from the same parameters and numbers. */
final class PeerStep implements AutoCloseable {
  /** Of weights that nobody looks at. */
  private static final float CONSTANT = 0.01f;

  private final Kind kind;
  private final LibTorch torch;
  private final LibTorch.Values parameters;
  private final LibTorch.Values trained;
  private final LibTorch.Values first;
  private final LibTorch.Values second;
  private final LibTorch.Values counters;
  private final LibTorch.Values batch;

  PeerStep(Kind kind, Model model, Batch batch, LibTorch torch) {
    this(kind, Source.of(kind, model, batch), torch);
  }

  PeerStep(Kind kind, Source source, LibTorch torch) {
    this.kind = kind;
    this.torch = torch;
    try (LibTorch.Values raw = torch.values(source.parameters())) {
      parameters = torch.run("prepare", raw);
    }
    trained = kind.trains() ? torch.run("trained", parameters) : null;
    batch = torch.values(source.inputs());
    first = kind.trains() ? torch.run("zeros", parameters) : null;
    second = kind.trains() ? torch.run("zeros", parameters) : null;
    counters = kind.trains() ? torch.run("counters", parameters) : null;
  }

  /** Loads a build with the script of a model, of which shapes suffice. */
  static LibTorch load(
      LibTorch.Build build, Model model, StepSettings settings, boolean channelsLast, int threads) {
    try {
      Path archive = Files.createTempFile("reverie-peer", ".pt");
      try {
        ScriptArchive.write(archive, StepScript.of(model, settings, channelsLast));
        return build.open(archive, threads);
      } finally {
        Files.delete(archive);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Makes one step; training moves the parameters. */
  void run() {
    step().close();
  }

  /**
   * Makes one step and gives the loss, or of other steps latents or images {@code [n, c, h, w]}.
   */
  float[] make() {
    try (LibTorch.Values result = step()) {
      List<float[]> tensors = new ArrayList<>();
      torch.read(result, tensors::add);
      return tensors.getFirst();
    }
  }

  /** Milliseconds of so many steps in a row; training moves the parameters. */
  double millis(int repeats) {
    return kind.trains()
        ? torch.millis(repeats, kind.title(), parameters, first, second, counters, batch)
        : torch.millis(repeats, kind.title(), parameters, batch);
  }

  private LibTorch.Values step() {
    return kind.trains()
        ? torch.run(kind.title(), parameters, first, second, counters, batch)
        : torch.run(kind.title(), parameters, batch);
  }

  /** What is trained, with the axes of files, one by one. */
  void trained(Consumer<float[]> each) {
    torch.read(trained, each);
  }

  /** The optimizer's first moments, one by one. */
  void firstMoments(Consumer<float[]> each) {
    torch.read(first, each);
  }

  @Override
  public void close() {
    parameters.close();
    batch.close();
    if (kind.trains()) {
      trained.close();
      first.close();
      second.close();
      counters.close();
    }
  }

  /**
   * Everything that a step is computed from, on its way.
   *
   * @param parameters with the axes of files
   * @param inputs in the order of the script
   */
  record Source(List<HostTensor> parameters, List<HostTensor> inputs) {
    static Source of(Kind kind, Model model, Batch batch) {
      return new Source(parameters(model), inputs(kind, batch));
    }

    /** Inputs for parameters of which only the shapes matter. */
    static Source shapes(Kind kind, Model model, Batch batch) {
      return new Source(
          model.parameters().stream()
              .map(p -> HostTensor.constant(CONSTANT, p.fileShape().dims()))
              .toList(),
          inputs(kind, batch));
    }

    static List<HostTensor> parameters(Model model) {
      return model.parameters().stream()
          .map(p -> HostTensor.of(() -> p.axisOrder().toFile(p.value())))
          .toList();
    }

    private static List<HostTensor> inputs(Kind kind, Batch b) {
      HostTensor images = HostTensor.image(b.images());
      if (kind == Kind.DECODING) {
        return List.of(images);
      }
      HostTensor context = HostTensor.of(b.context());
      HostTensor noise = HostTensor.image(b.noise());
      if (kind == Kind.PRETRAINING) {
        NoiseSchedule schedule = b.loss().schedule();
        double[] t = b.timesteps();
        return List.of(
            images,
            HostTensor.row(t),
            context,
            noise,
            HostTensor.column(Arrays.stream(t).map(schedule::signal).toArray()),
            HostTensor.column(Arrays.stream(t).map(schedule::noise).toArray()));
      }
      ReversePolicy policy = b.policy();
      int[] steps = b.steps();
      return List.of(
          images,
          HostTensor.row(b.chainTimesteps()),
          context,
          HostTensor.of(b.unconditional()),
          HostTensor.column(Arrays.stream(steps).mapToDouble(policy::stateFactor).toArray()),
          HostTensor.column(Arrays.stream(steps).mapToDouble(policy::outputFactor).toArray()),
          HostTensor.column(Arrays.stream(steps).mapToDouble(policy::sigma).toArray()),
          kind == Kind.SAMPLING ? noise : HostTensor.image(b.next()),
          HostTensor.row(b.oldLogProb()),
          HostTensor.row(b.advantage()));
    }
  }
}
