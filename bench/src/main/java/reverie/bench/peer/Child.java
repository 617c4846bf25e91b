// SPDX-License-Identifier: Apache-2.0
package reverie.bench.peer;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import reverie.bench.measure.ProcessMemory;
import reverie.bench.measure.Rounds;
import reverie.bench.step.Batch;
import reverie.bench.step.Kind;
import reverie.bench.step.Model;
import reverie.bench.step.OurStep;
import reverie.bench.step.StepSettings;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import tools.jackson.databind.json.JsonMapper;

/**
 * A process with at most one LibTorch in it, as two cannot live together. Takes a {@link Task} as
 * its first argument and writes the {@link Task.Answer} to the file of the second.
 */
final class Child {
  private static final int TRIES = 2;

  /** Such a step is timed once in a trial. */
  private static final double LONG_MILLIS = 5000;

  private static final int MEMORY_STEPS = 3;

  private final Task task;
  private final StepSettings settings = StepSettings.usual();
  private final Device device = Device.cpu();

  private Child(Task task) {
    this.task = task;
  }

  /** Does the task. */
  public static void main(String[] arguments) throws Exception {
    JsonMapper json = JsonMapper.builder().build();
    Task task = json.readValue(arguments[0], Task.class);
    Files.writeString(Path.of(arguments[1]), json.writeValueAsString(new Child(task).answer()));
    // Libraries leave threads behind.
    Runtime.getRuntime().halt(0);
  }

  private Task.Answer answer() {
    return switch (task.what()) {
      case TRIAL -> new Task.Answer(trials(), null, null, null);
      case COMPARE -> new Task.Answer(null, compare(), null, null);
      case MEMORY -> new Task.Answer(null, null, memory(), null);
      case ACCURACY -> new Task.Answer(null, null, null, accuracy());
    };
  }

  private LibTorch load(boolean channelsLast) {
    try (Model shapes = Model.shapes(task.subject(), task.kind())) {
      return PeerStep.load(task.build(), shapes, settings, channelsLast, task.threads());
    }
  }

  private Model model() {
    return Model.random(task.subject(), task.kind(), device);
  }

  private Batch batch() {
    return new Batch(task.subject(), task.subject().batch(), device, settings, Rng.of(2));
  }

  private List<Task.Trial> trials() {
    List<Task.Trial> trials = new ArrayList<>();
    try (Model model = model();
        Batch batch = batch()) {
      for (boolean channelsLast : new boolean[] {false, true}) {
        try (LibTorch torch = load(channelsLast);
            PeerStep step = new PeerStep(task.kind(), model, batch, torch)) {
          step.run();
          double best = Rounds.time(step::run);
          for (int i = 1; i < TRIES && best < LONG_MILLIS; i++) {
            best = Math.min(best, Rounds.time(step::run));
          }
          trials.add(new Task.Trial(channelsLast, best));
        }
      }
    }
    return trials;
  }

  private Task.Comparison compare() {
    try (LibTorch torch = load(task.channelsLast());
        Model model = model();
        Batch batch = batch()) {
      if (task.kind() != Kind.DECODING) {
        batch.draw(model.unet());
      }
      try (PeerStep peer = new PeerStep(task.kind(), model, batch, torch);
          OurStep ours = new OurStep(task.kind(), model, batch, settings)) {
        double difference =
            Agreement.of(
                    task.kind(),
                    model,
                    ours,
                    peer,
                    task.kind() == Kind.LORA
                        ? Agreement.Tolerance.ADAPTERS
                        : Agreement.Tolerance.FLOAT32)
                .require()
                .error();
        Rounds rounds =
            Rounds.of(() -> Rounds.time(ours::run), () -> Rounds.time(peer::run), task.rounds());
        return new Task.Comparison(difference, rounds.first(), rounds.second());
      }
    }
  }

  private double memory() {
    return task.build() == null ? ourMemory() : peerMemory();
  }

  private double ourMemory() {
    ProcessMemory memory = ProcessMemory.start();
    try (Model model = model();
        Batch batch = batch();
        OurStep step = new OurStep(task.kind(), model, batch, settings)) {
      memory.forgetPeak();
      make(step::run);
      return memory.peakMegabytes();
    }
  }

  private double peerMemory() {
    try (LibTorch torch = load(task.channelsLast());
        Model shapes = Model.shapes(task.subject(), task.kind());
        Batch batch = batch()) {
      ProcessMemory memory = ProcessMemory.start();
      PeerStep.Source source = PeerStep.Source.shapes(task.kind(), shapes, batch);
      try (PeerStep step = new PeerStep(task.kind(), source, torch)) {
        memory.forgetPeak();
        make(step::run);
        return memory.peakMegabytes();
      }
    }
  }

  /** Two steps at least: the first may be another way to the same. */
  private static void make(Runnable step) {
    double millis = 0;
    for (int i = 0; i < 2 || i < MEMORY_STEPS && millis < LONG_MILLIS; i++) {
      millis += Rounds.time(step);
    }
  }

  private Task.Accuracy accuracy() {
    try (LibTorch torch = load(task.channelsLast());
        Model model = model()) {
      return Exactness.measure(task.subject(), model.unet(), torch);
    }
  }
}
