// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import java.nio.file.Path;
import java.util.stream.LongStream;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Shape;
import reverie.tensor.Tensor;
import reverie.tensor.io.Safetensors;
import tools.jackson.databind.JsonNode;

/**
 * A case of a file of reverse chains: its settings, and the tensors that begin with its name.
 *
 * @param path of the file, for errors
 */
record VectorCase(Path path, Safetensors file, JsonNode settings) {
  JsonNode value(String key) {
    JsonNode value = settings.get(key);
    if (value == null) {
      throw new ReverieException(
          "chain check: a case of " + path + " lacks \"" + key + "\": " + settings);
    }
    return value;
  }

  double number(String key) {
    JsonNode value = value(key);
    if (!value.isNumber()) {
      throw new ReverieException(
          "chain check: expected a number for \"" + key + "\" in " + path + ", got " + value);
    }
    return value.doubleValue();
  }

  /** What the case is called: {@code case3}. */
  String name() {
    return "case" + (int) number("id");
  }

  private String tensor(String name) {
    return name() + "." + name;
  }

  int[] ints(String name) {
    return LongStream.of(file.longs(tensor(name))).mapToInt(Math::toIntExact).toArray();
  }

  double[] doubles(String name) {
    return file.doubles(tensor(name));
  }

  Shape shape(String name) {
    return file.shape(tensor(name));
  }

  Tensor tensor(Device device, String name) {
    return device.tensor(doubles(name), shape(name).dims());
  }
}
