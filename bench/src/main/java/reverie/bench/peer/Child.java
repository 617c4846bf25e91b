// SPDX-License-Identifier: Apache-2.0
package reverie.bench.peer;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import reverie.bench.measure.ProcessMemory;
import reverie.bench.measure.Rounds;
import reverie.bench.step.Batch;
import reverie.bench.step.OurStep;
import reverie.bench.step.StepSettings;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.unet.UNet;
import tools.jackson.databind.json.JsonMapper;

/**
 * A process with at most one LibTorch in it, as two cannot live together. Takes a {@link Task} as
 * its first argument and writes the {@link Task.Answer} to the file of the second.
 */
final class Child {
  private static final int TRIES = 2;
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
    return PeerStep.load(
        task.build(), task.subject().config(), settings, channelsLast, task.threads());
  }

  private UNet model() {
    return UNet.random(task.subject().config(), device, Rng.of(1));
  }

  private Batch batch() {
    return new Batch(task.subject(), task.subject().batch(), device, settings, Rng.of(2));
  }

  private List<Task.Trial> trials() {
    List<Task.Trial> trials = new ArrayList<>();
    try (UNet model = model();
        Batch batch = batch()) {
      for (boolean channelsLast : new boolean[] {false, true}) {
        try (LibTorch torch = load(channelsLast);
            PeerStep step = new PeerStep(task.kind(), model, batch, torch)) {
          step.run();
          double best = Double.POSITIVE_INFINITY;
          for (int i = 0; i < TRIES; i++) {
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
        UNet model = model();
        Batch batch = batch()) {
      batch.draw(model);
      try (PeerStep peer = new PeerStep(task.kind(), model, batch, torch);
          OurStep ours = new OurStep(task.kind(), model, batch, settings)) {
        double difference =
            Agreement.of(task.kind(), model, ours, peer, Agreement.Tolerance.FLOAT32)
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
    try (UNet model = model();
        Batch batch = batch();
        OurStep step = new OurStep(task.kind(), model, batch, settings)) {
      for (int i = 0; i < MEMORY_STEPS; i++) {
        step.run();
      }
      return memory.peakMegabytes();
    }
  }

  private double peerMemory() {
    try (LibTorch torch = load(task.channelsLast())) {
      PeerStep.Source source;
      try (UNet model = model();
          Batch batch = batch()) {
        source = PeerStep.Source.of(task.kind(), model, batch);
      }
      ProcessMemory memory = ProcessMemory.start();
      try (PeerStep step = new PeerStep(task.kind(), source, torch)) {
        for (int i = 0; i < MEMORY_STEPS; i++) {
          step.run();
        }
        return memory.peakMegabytes();
      }
    }
  }

  private Task.Accuracy accuracy() {
    try (LibTorch torch = load(task.channelsLast());
        UNet model = model()) {
      return Exactness.measure(task.subject(), model, torch);
    }
  }
}
