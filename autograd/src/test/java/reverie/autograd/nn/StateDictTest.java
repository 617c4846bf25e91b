// SPDX-License-Identifier: Apache-2.0
package reverie.autograd.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Shape;
import reverie.tensor.Tensor;
import reverie.tensor.io.Safetensors;

class StateDictTest {
  private final Device device = Device.reference();
  @TempDir Path folder;
  private Path file;
  private Parameters p;
  private Scope scope;

  @BeforeEach
  void open() {
    scope = Scope.open("test");
    file = folder.resolve("weights.safetensors");
    p = model(1);
  }

  @AfterEach
  void close() {
    p.close();
    scope.close();
  }

  private Parameters model(long seed) {
    Parameters made = Parameters.random(device, Rng.of(seed));
    new Conv2d(made.at("conv"), 2, 5, 3, 1, 1);
    new Linear(made.at("fc"), 3, 4, true);
    return made;
  }

  @Test
  void convolutionsLieInFilesAsInPyTorch() {
    StateDict.save(p, file, Map.of());
    try (Safetensors read = Safetensors.open(file)) {
      assertEquals(Shape.of(5, 2, 3, 3), read.shape("conv.weight"));
      float[] inside = p.get("conv.weight").value().toFloats();
      float[] outside = read.floats("conv.weight");
      // Kernel row 2, column 1, from input 1 to output 3.
      assertEquals(inside[((2 * 3 + 1) * 2 + 1) * 5 + 3], outside[((3 * 2 + 1) * 3 + 2) * 3 + 1]);
    }
  }

  @Test
  void whatIsSavedIsLoaded() {
    StateDict.save(p, file, Map.of());
    try (Parameters other = model(2)) {
      StateDict.load(other, file);
      for (Parameter q : other.all()) {
        assertArrayEquals(p.get(q.name()).value().toFloats(), q.value().toFloats(), q.name());
      }
    }
  }

  @Test
  void namesInTheFileMayDiffer() {
    Safetensors.write(file, StateDict.entries(p, "unet."), Map.of());
    try (Parameters other = model(2)) {
      StateDict.load(other, file, name -> name.substring("unet.".length()));
      assertArrayEquals(
          p.get("fc.bias").value().toFloats(), other.get("fc.bias").value().toFloats());
    }
  }

  @Test
  void missingAndUnexpectedTensorsAreNamed() {
    Map<String, Safetensors.Entry> entries = StateDict.entries(p, "");
    entries.remove("fc.bias");
    entries.put("fc.gain", new Safetensors.Entry(DType.F32, Shape.of(1), 1));
    Safetensors.write(file, entries, Map.of());
    double[] before = p.get("conv.weight").value().toDoubles();
    String message = failure();
    assertTrue(message.contains("missing 1: fc.bias"), message);
    assertTrue(message.contains("unexpected 1: fc.gain"), message);
    assertArrayEquals(before, p.get("conv.weight").value().toDoubles());
  }

  @Test
  void anotherShapeNamesTheTensor() {
    Map<String, Safetensors.Entry> entries = StateDict.entries(p, "");
    entries.put("fc.bias", new Safetensors.Entry(DType.F32, Shape.of(2, 2), 1, 2, 3, 4));
    Safetensors.write(file, entries, Map.of());
    String message = failure();
    assertTrue(message.contains("\"fc.bias\": expected [4]"), message);
    assertTrue(message.contains("got F32[2, 2]"), message);
  }

  @Test
  void loraFilesHoldTheWholeAdaptation() {
    Tensor x = Rng.of(1).normal(device, 2, 3);
    Lora.Options options = new Lora.Options(2, 6, name -> name.equals("fc"));
    try (Parameters q = p.copy();
        Parameters plain = p.copy();
        Lora lora = new Lora(p, options, Rng.of(8));
        Lora again = new Lora(q, options, Rng.of(9))) {
      Tensor b = lora.parameters().get("fc.lora_B.weight").value();
      b.assign(Rng.of(4).normal(device, 4, 2));
      lora.save(file, "unet.");
      again.load(file, "unet.");
      lora.addTo(plain);
      Tensor adapted = new Linear(plain.at("fc"), 3, 4, true).forward(x);
      Tensor loaded = new Linear(q.at("fc"), 3, 4, true).forward(x);
      assertArrayEquals(adapted.toDoubles(), loaded.toDoubles(), 1e-6);
      try (Safetensors read = Safetensors.open(file)) {
        assertEquals(Shape.of(2, 3), read.shape("unet.fc.lora_A.weight"));
        assertArrayEquals(b.mul(3).toFloats(), read.floats("unet.fc.lora_B.weight"), 0);
      }
    }
  }

  private String failure() {
    return assertThrows(ReverieException.class, () -> StateDict.load(p, file)).getMessage();
  }
}
