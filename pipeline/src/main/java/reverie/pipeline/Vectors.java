// SPDX-License-Identifier: Apache-2.0
package reverie.pipeline;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;
import reverie.autograd.Tape;
import reverie.autograd.nn.Parameter;
import reverie.autograd.nn.Parameters;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Tensor;
import reverie.tensor.io.Safetensors;
import reverie.unet.VectorCheck;
import reverie.unet.VectorCheck.Row;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A file of reference vectors, whose images are NCHW, and rows of comparison with it. */
record Vectors(Path path, Safetensors file, Device device) {
  private static final String STATISTICS = "gradstat.";
  private static final String GRADIENT = "grad.";

  /**
   * A gradient shorter than this share of the longest one is measured against that share: what
   * norms make zero is rounding, and deep networks have more of it.
   */
  private static final double FLOOR = 1e-3;

  /**
   * Biases of keys, whose gradient is zero because the softmax does not see them: what is there is
   * rounding, and is compared with the longest gradient.
   */
  private static final Pattern ZERO = Pattern.compile(".*\\.(k_proj|to_k|key)\\.bias");

  /** A metadata value that is JSON. */
  JsonNode json(String key) {
    String text = file.metadata().get(key);
    if (text == null) {
      throw error("metadata \"" + key + "\"", file.metadata().keySet());
    }
    try {
      return JsonMapper.shared().readTree(text);
    } catch (JacksonException e) {
      throw error("JSON in the metadata \"" + key + "\"", e.getOriginalMessage());
    }
  }

  ReverieException error(String expected, Object got) {
    return new ReverieException(
        "check: " + path + ": expected " + expected + ", got " + got,
        "is it a file of vectors of a pipeline?");
  }

  static List<String> texts(JsonNode list) {
    return list.valueStream().map(JsonNode::asString).toList();
  }

  /** A tensor as it is. */
  Tensor plain(String name) {
    return device.tensor(file.doubles(name), file.shape(name).dims());
  }

  /** NCHW as NHWC. */
  Tensor image(String name) {
    return toNhwc(plain(name));
  }

  /** One of several tensors in one, by its index; NCHW as NHWC where it is of images. */
  Tensor part(String name, int index) {
    int[] dims = file.shape(name).dims();
    int[] rest = Arrays.copyOfRange(dims, 1, dims.length);
    double[] all = file.doubles(name);
    int size = all.length / dims[0];
    Tensor part = device.tensor(Arrays.copyOfRange(all, index * size, (index + 1) * size), rest);
    return rest.length == 4 ? toNhwc(part) : part;
  }

  int[] ints(String name) {
    return Arrays.stream(file.longs(name)).mapToInt(Math::toIntExact).toArray();
  }

  /** Compares a tensor; NHWC as NCHW where it has four axes. */
  Row row(String name, Tensor ours) {
    Tensor inFile = ours.shape().rank() == 4 ? toNchw(ours) : ours;
    if (ours.size() != 1 && !file.shape(name).equals(inFile.shape())) {
      throw error(file.shape(name) + " of \"" + name + "\" from the folder", inFile.type());
    }
    return Row.of(name, file.doubles(name), inFile.toDoubles(), 0);
  }

  /** Compares one of several tensors in one. */
  Row row(String name, int index, Tensor ours) {
    Tensor expected = part(name, index);
    return Row.of(name + "[" + index + "]", expected.toDoubles(), ours.toDoubles(), 0);
  }

  /** Compares log-probabilities, which may be 0: an error of those below 1 is not divided. */
  Row score(String name, int index, Tensor ours) {
    Tensor expected = part(name, index);
    return Row.of(name + "[" + index + "]", expected.toDoubles(), ours.toDoubles(), 1);
  }

  /** Compares whole numbers, which must be the same. */
  Row exact(String name, int[] expected, int... ours) {
    return new Row(name, Arrays.equals(expected, ours) ? 0 : Double.POSITIVE_INFINITY);
  }

  /**
   * Compares every gradient in the file that one has, and their sums, sums of absolutes and norms.
   *
   * @param part before the names
   * @param ours by name, with the axes of files
   * @param toParameter from names in the file to names of ours
   */
  List<Row> gradients(String part, Map<String, Tensor> ours, UnaryOperator<String> toParameter) {
    List<Row> rows = new ArrayList<>();
    for (String kind : List.of(GRADIENT, STATISTICS)) {
      Map<String, double[]> expected = new LinkedHashMap<>();
      for (String name : file.names()) {
        if (name.startsWith(part + kind)
            && ours.containsKey(toParameter.apply(name.substring(part.length() + kind.length())))) {
          expected.put(name, file.doubles(name));
        }
      }
      double longest = expected.values().stream().mapToDouble(VectorCheck::norm).max().orElse(0);
      expected.forEach((name, values) -> {
        double[] got =
            ours.get(toParameter.apply(name.substring(part.length() + kind.length()))).toDoubles();
        rows.add(
            Row.of(
                name,
                values,
                kind.equals(STATISTICS) ? statistics(got) : got,
                ZERO.matcher(name).matches() ? longest : FLOOR * longest));
      });
    }
    if (rows.isEmpty()) {
      throw error("gradients \"" + part + GRADIENT + "…\"", "none");
    }
    return rows;
  }

  private static double[] statistics(double... values) {
    return new double[] {
      Arrays.stream(values).sum(),
      Arrays.stream(values).map(Math::abs).sum(),
      VectorCheck.norm(values)
    };
  }

  /** The gradients of parameters under their names, with the axes of files. */
  static Map<String, Tensor> of(Parameters parameters, Tape.Result result) {
    Map<String, Tensor> gradients = new LinkedHashMap<>();
    for (Parameter p : parameters.all()) {
      gradients.put(p.name(), p.axisOrder().toFile(result.gradient(p.value())));
    }
    return gradients;
  }

  /** What gradients are asked for: the values of parameters and some inputs. */
  static List<Tensor> with(Parameters parameters, Tensor... inputs) {
    List<Tensor> wrt = new ArrayList<>(List.of(inputs));
    parameters.all().forEach(p -> wrt.add(p.value()));
    return wrt;
  }

  static Tensor toNchw(Tensor nhwc) {
    return nhwc.permute(0, 3, 1, 2);
  }

  private static Tensor toNhwc(Tensor nchw) {
    return nchw.permute(0, 2, 3, 1).contiguous();
  }
}
