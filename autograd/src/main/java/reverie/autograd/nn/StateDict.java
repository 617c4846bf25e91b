// SPDX-License-Identifier: Apache-2.0
package reverie.autograd.nn;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.io.Safetensors;

/** Between parameters and safetensors files, whose names and axes are those of PyTorch. */
public final class StateDict {
  private static final int NAMES_SHOWN = 5;

  private StateDict() {}

  /**
   * Fills all parameters from a file, or the files of an index, that hold these and no others.
   *
   * @throws ReverieException if a name is missing or unexpected, or a shape or type does not fit;
   *     no parameter has changed then
   */
  public static void load(Parameters parameters, Path path) {
    load(parameters, path, UnaryOperator.identity());
  }

  /**
   * As {@link #load(Parameters, Path)}, of a file with other names.
   *
   * @param toParameter from a name in the file to a parameter's full name, or null to pass over it
   */
  public static void load(Parameters parameters, Path path, UnaryOperator<String> toParameter) {
    try (Safetensors file = Safetensors.open(path)) {
      Map<String, String> inFile = matched(parameters, path, file, toParameter);
      List<Parameter> all = parameters.all();
      Device device = parameters.device();
      device
          .backend()
          .parallelFor(
              all.size(), i -> read(file, inFile.get(all.get(i).name()), all.get(i), device));
      // Kernels were turned beside their places.
      device.backend().trim();
    }
  }

  private static void read(Safetensors file, String name, Parameter p, Device device) {
    if (p.axisOrder() == AxisOrder.SAME && !p.isNarrow()) {
      file.read(name, p.value());
      return;
    }
    try (Scope _ = Scope.open("load")) {
      p.write(p.axisOrder().fromFile(file.tensor(name, device)));
    }
  }

  /**
   * What {@link #load(Parameters, Path, UnaryOperator)} checks, of parameters that may be shapes
   * only.
   *
   * @throws ReverieException if the file does not fit
   */
  public static void check(Parameters parameters, Path path, UnaryOperator<String> toParameter) {
    try (Safetensors file = Safetensors.open(path)) {
      matched(parameters, path, file, toParameter);
    }
  }

  /**
   * Builds a model on a file's weights. Names and shapes are compared before any memory is asked
   * for: a configuration may claim anything.
   *
   * @param model made on its parameters
   * @param toParameter as in {@link #load(Parameters, Path, UnaryOperator)}
   * @throws ReverieException if the file does not fit
   */
  public static <M> M build(
      Function<Parameters, M> model, Path path, UnaryOperator<String> toParameter, Device device) {
    return build(model, path, toParameter, device, DType.F32);
  }

  /**
   * As {@link #build(Function, Path, UnaryOperator, Device)}.
   *
   * @param weights how matrices are held: see {@link Parameters#zeros(Device, DType)}
   */
  public static <M> M build(
      Function<Parameters, M> model,
      Path path,
      UnaryOperator<String> toParameter,
      Device device,
      DType weights) {
    try (Parameters shapes = Parameters.shapesOnly()) {
      model.apply(shapes);
      check(shapes, path, toParameter);
    }
    Parameters parameters = Parameters.unset(device, weights);
    try {
      M built = model.apply(parameters);
      load(parameters, path, toParameter);
      return built;
    } catch (RuntimeException e) {
      parameters.close();
      throw e;
    }
  }

  /** From names of parameters to names in the file, after all checks. */
  private static Map<String, String> matched(
      Parameters parameters, Path path, Safetensors file, UnaryOperator<String> toParameter) {
    Map<String, String> inFile = new LinkedHashMap<>();
    for (String name : file.names()) {
      String parameter = toParameter.apply(name);
      String other = parameter == null ? null : inFile.put(parameter, name);
      if (other != null) {
        throw new ReverieException(
            "load: "
                + path
                + ": expected one tensor for "
                + parameter
                + ", got \""
                + other
                + "\" and \""
                + name
                + "\"");
      }
    }
    match(parameters, path, file, inFile);
    return inFile;
  }

  private static void match(
      Parameters parameters, Path path, Safetensors file, Map<String, String> inFile) {
    List<String> missing = new ArrayList<>();
    Map<String, String> unexpected = new LinkedHashMap<>(inFile);
    for (Parameter p : parameters.all()) {
      String name = unexpected.remove(p.name());
      if (name == null) {
        missing.add(p.name());
      } else if (!file.shape(name).equals(p.fileShape()) || !file.dtype(name).isFloating()) {
        throw new ReverieException(
            "load: "
                + path
                + ": tensor \""
                + name
                + "\": expected "
                + p.fileShape()
                + " of a floating-point type, got "
                + file.dtype(name)
                + file.shape(name),
            "the weights belong to a model with another configuration");
      }
    }
    if (!missing.isEmpty() || !unexpected.isEmpty()) {
      throw new ReverieException(
          "load: "
              + path
              + ": expected exactly the model's "
              + parameters.all().size()
              + " tensors"
              + some(", missing", missing)
              + some(", unexpected", List.copyOf(unexpected.values())),
          "the weights belong to a model with another configuration");
    }
  }

  private static String some(String what, List<String> names) {
    if (names.isEmpty()) {
      return "";
    }
    List<String> first = names.subList(0, Math.min(NAMES_SHOWN, names.size()));
    String more = names.size() > NAMES_SHOWN ? ", …" : "";
    return what + " " + names.size() + ": " + String.join(", ", first) + more;
  }

  /** Writes all parameters as F32, in one piece: see {@link Safetensors#write}. */
  public static void save(Parameters parameters, Path path, Map<String, String> metadata) {
    save(parameters, path, DType.F32, metadata);
  }

  /** Writes all parameters as {@code F32}, {@code F16} or {@code BF16}, in one piece. */
  public static void save(
      Parameters parameters, Path path, DType dtype, Map<String, String> metadata) {
    Safetensors.write(path, entries(parameters, "", dtype), metadata);
  }

  /** All parameters as arrays of files, in the order of their making. */
  static Map<String, Safetensors.Entry> entries(Parameters parameters, String prefix, DType dtype) {
    Map<String, Safetensors.Entry> entries = new LinkedHashMap<>();
    for (Parameter p : parameters.all()) {
      entries.put(prefix + p.name(), entry(p, dtype));
    }
    return entries;
  }

  /** Read when it is written, so that one array is widened at a time. */
  private static Safetensors.Entry entry(Parameter p, DType dtype) {
    return new Safetensors.Entry(
        dtype,
        p.fileShape(),
        piece -> {
          try (Scope _ = Scope.open("save")) {
            Safetensors.Entry.of(p.axisOrder().toFile(p.read())).values().forEachPiece(piece);
          }
        });
  }
}
