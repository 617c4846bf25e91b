// SPDX-License-Identifier: Apache-2.0
package reverie.examples;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.invoke.MethodHandles;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.autograd.Tape;
import reverie.autograd.nn.Linear;
import reverie.autograd.nn.Parameters;
import reverie.autograd.nn.StateDict;
import reverie.autograd.optim.AdamW;
import reverie.autograd.optim.BackwardPass;
import reverie.autograd.optim.TrainingStep;
import reverie.tensor.Device;
import reverie.tensor.Interpreter;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.debug.NanGuard;
import reverie.tensor.debug.Profile;
import reverie.tensor.io.Safetensors;

/** The programs of docs/java.md. */
class JavaGuideTest {
  @TempDir private Path folder;

  @Test
  void tensorsAndScopes() {
    Device cpu = Device.cpu();
    float[] values;
    Tensor kept;
    try (Scope _ = Scope.open("outer")) {
      try (Scope step = Scope.open("step")) {
        Tensor x = Rng.of(1).normal(cpu, 4, 3); // 4 rows of 3 random numbers
        Tensor w = cpu.tensor(new float[] {1, 2, 3, 4, 5, 6}, 3, 2);
        Tensor y = x.matmul(w).silu(); // [4, 2]
        values = y.toFloats(); // a copy in the heap
        kept = step.keep(y.mean()); // lives on in the scope around
      }
      assertEquals(8, values.length);
      assertTrue(Double.isFinite(kept.item()));
    }
    ReverieException error = assertThrows(ReverieException.class, kept::item);
    assertTrue(error.getMessage().contains("\"outer\" was closed"), error::getMessage);
  }

  @Test
  void aGradient() {
    Device cpu = Device.cpu();
    try (Scope _ = Scope.open("gradient")) {
      Tensor x = cpu.tensor(new float[] {1, 2}, 1, 2);
      Tensor w = cpu.tensor(new float[] {3, 4}, 2, 1);
      Tape.Result pass = Tape.run(List.of(w), () -> x.matmul(w).square().mean());
      double loss = pass.loss().item(); // (1·3 + 2·4)² = 121
      Tensor gradient = pass.gradient(w); // 2·11·x
      assertEquals(121, loss, 1e-4);
      assertArrayEquals(new float[] {22, 44}, gradient.toFloats(), 1e-4f);
    }
  }

  /** A network of one hidden layer on its weights. */
  record Network(Linear hidden, Linear out) {
    Network(Parameters weights) {
      this(
          new Linear(weights.at("hidden"), 1, 32, true),
          new Linear(weights.at("out"), 32, 1, true));
    }

    Tensor forward(Tensor x) {
      return out.forward(hidden.forward(x).tanh());
    }
  }

  /** What a step is given; samples are the first axis. */
  record Batch(Tensor x, Tensor y) {}

  /** Fits sin on [−3, 3] and gives the last loss. */
  static double fit(Network network, Parameters weights, int steps) {
    Device device = weights.device();
    var settings = new TrainingStep.Settings(AdamW.Options.weightDecay(0), 1, 0);
    double loss = Double.NaN;
    try (var step = new TrainingStep(weights, settings);
        var pass =
            BackwardPass.of(
                MethodHandles.lookup(),
                device,
                step.gradients(),
                (Batch b) -> network.forward(b.x()).sub(b.y()).square().sum())) {
      for (int i = 0; i < steps; i++) {
        try (Scope _ = Scope.open("step")) {
          Tensor x = Rng.of(i).normal(device, 64, 1).clamp(-3, 3);
          step.begin();
          loss = pass.add(new Batch(x, x.sin())).sum().item() / 64;
          step.update(0.01);
        }
      }
    }
    return loss;
  }

  @Test
  void trainingAndFiles() {
    Device cpu = Device.cpu();
    Path file = folder.resolve("network.safetensors");
    double loss;
    float[] bias;
    try (Parameters weights = Parameters.random(cpu, Rng.of(1))) {
      Network network = new Network(weights);
      loss = fit(network, weights, 300);
      StateDict.save(weights, file, Map.of("made by", "fit"));
      bias = weights.get("out.bias").value().toFloats();
    }
    assertTrue(loss < 0.01, () -> "loss " + loss);

    try (Parameters weights = Parameters.zeros(cpu);
        Scope _ = Scope.open("use")) {
      Network network = new Network(weights);
      StateDict.load(weights, file);
      double half = network.forward(cpu.tensor(new float[] {0.5f}, 1, 1)).item();
      assertEquals(Math.sin(0.5), half, 0.1);
    }
    try (Safetensors tensors = Safetensors.open(file)) {
      assertArrayEquals(bias, tensors.floats("out.bias"));
    }
  }

  @Test
  void lookingInside() {
    Device cpu = Device.cpu();
    try (Parameters weights = Parameters.random(cpu, Rng.of(1));
        Scope _ = Scope.open("look")) {
      Network network = new Network(weights);
      Tensor x = Rng.of(2).normal(cpu, 64, 1);
      var profile = new Profile(Interpreter.current());
      Interpreter.with(profile, () -> network.forward(x));
      String table = profile.table(); // time, calls and GFLOP/s of every operation
      assertTrue(table.contains("tanh"), table);

      var guard = new NanGuard(Interpreter.current());
      ReverieException error =
          assertThrows(ReverieException.class, () -> Interpreter.with(guard, () -> x.sub(9).log()));
      assertTrue(error.getMessage().startsWith("log: expected finite"), error::getMessage);
    }
  }
}
