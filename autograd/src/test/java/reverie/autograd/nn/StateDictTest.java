// SPDX-License-Identifier: Apache-2.0
package reverie.autograd.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
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
    Safetensors.write(file, StateDict.entries(p, "unet.", DType.F32), Map.of());
    try (Parameters other = model(2)) {
      StateDict.load(other, file, name -> name.substring("unet.".length()));
      assertArrayEquals(
          p.get("fc.bias").value().toFloats(), other.get("fc.bias").value().toFloats());
    }
  }

  @Test
  void missingAndUnexpectedTensorsAreNamed() {
    Map<String, Safetensors.Entry> entries = StateDict.entries(p, "", DType.F32);
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
  void oneTensorTooManyIsRefused() {
    Map<String, Safetensors.Entry> entries = StateDict.entries(p, "", DType.F32);
    entries.put("fc.gain", new Safetensors.Entry(DType.F32, Shape.of(1), 1));
    Safetensors.write(file, entries, Map.of());
    String message = failure();
    assertTrue(message.contains("unexpected 1: fc.gain"), message);
  }

  @Test
  void anotherShapeNamesTheTensor() {
    Map<String, Safetensors.Entry> entries = StateDict.entries(p, "", DType.F32);
    entries.put("fc.bias", new Safetensors.Entry(DType.F32, Shape.of(2, 2), 1, 2, 3, 4));
    Safetensors.write(file, entries, Map.of());
    String message = failure();
    assertTrue(message.contains("\"fc.bias\": expected [4]"), message);
    assertTrue(message.contains("got F32[2, 2]"), message);
  }

  @Test
  void wholeNumbersAreNoWeights() throws IOException {
    StateDict.save(p, file, Map.of());
    String bytes = Files.readString(file, StandardCharsets.ISO_8859_1);
    String whole = bytes.replaceFirst("(\"fc.bias\":\\{\"dtype\":\")F32", "$1I32");
    Files.writeString(file, whole, StandardCharsets.ISO_8859_1);
    assertTrue(failure().contains("of a floating-point type, got I32[4]"), failure());
  }

  private String failure() {
    return assertThrows(ReverieException.class, () -> StateDict.load(p, file)).getMessage();
  }
}
