// SPDX-License-Identifier: Apache-2.0
package reverie.autograd.nn;

import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Shape;
import reverie.tensor.Tensor;

/**
 * The parameters of a model in the order of their making, by full dotted name. A layer is built by
 * asking for its parameters under a prefix, so that the structure of a model is its constructor:
 *
 * <pre>{@code
 * Parameters p = Parameters.random(device, Rng.of(7));
 * Linear in = new Linear(p.at("mlp.0"), 4, 16, true);  // makes mlp.0.weight and mlp.0.bias
 * }</pre>
 *
 * Owns their memory; random values depend on the seed and the name only. {@link #copy()} gives
 * parameters on which a second model with the same structure can be built.
 */
public final class Parameters implements AutoCloseable {
  private enum Filling {
    RANDOM,
    ZEROS,
    UNSET,
    SHAPES,
    GIVEN
  }

  /** What all views of one collection share. */
  private record Store(
      Device device,
      Rng rng,
      Filling filling,
      DType weights,
      Scope scope,
      Map<String, Parameter> byName) {}

  private final Store store;
  private final String prefix;

  private Parameters(Store store, String prefix) {
    this.store = store;
    this.prefix = prefix;
  }

  private static Parameters empty(Device device, Rng rng, Filling filling, DType weights) {
    return new Parameters(
        new Store(
            device, rng, filling, weights, Scope.detached("parameters"), new LinkedHashMap<>()),
        "");
  }

  /** Parameters that start at the values their layers ask for. */
  public static Parameters random(Device device, Rng rng) {
    return random(device, rng, DType.F32);
  }

  /** The same, of which matrices and kernels are held as {@link #zeros(Device, DType)} says. */
  public static Parameters random(Device device, Rng rng, DType weights) {
    return empty(device, rng, Filling.RANDOM, weights);
  }

  /** Parameters that start at zero. */
  public static Parameters zeros(Device device) {
    return zeros(device, DType.F32);
  }

  /**
   * Parameters that start at zero.
   *
   * @param weights how matrices and kernels of convolutions are held: {@code F32}, which is the
   *     device's own type; or {@code F16} or {@code BF16}, which takes half of the memory, is
   *     widened wherever it is used, and cannot be trained
   */
  public static Parameters zeros(Device device, DType weights) {
    return empty(device, Rng.of(0), Filling.ZEROS, weights);
  }

  /**
   * The same that start at no value: every one is to be written before it is read, by {@link
   * StateDict#load} for instance.
   */
  public static Parameters unset(Device device, DType weights) {
    return empty(device, Rng.of(0), Filling.UNSET, weights);
  }

  /** Names and shapes without memory: what a model would have. */
  public static Parameters shapesOnly() {
    return empty(null, Rng.of(0), Filling.SHAPES, DType.F32);
  }

  /**
   * The parameters of several collections as one, whose memory stays theirs.
   *
   * @param parts on one device, without common names
   */
  public static Parameters union(Collection<Parameters> parts) {
    Parameters all = empty(parts.iterator().next().device(), Rng.of(0), Filling.GIVEN, DType.F32);
    for (Parameters part : parts) {
      for (Parameter p : part.all()) {
        if (all.store.byName.put(p.name(), p) != null) {
          throw new ReverieException("parameters: two are called " + p.name());
        }
      }
    }
    return all;
  }

  /** The device of the values; null if there are shapes only. */
  public Device device() {
    return store.device;
  }

  /** The part under {@code prefix + "."}: the same parameters, seen from there. */
  public Parameters at(String part) {
    return new Parameters(store, prefix + part + ".");
  }

  /** The part under {@code part + "." + index}. */
  public Parameters at(String part, int index) {
    return at(part + "." + index);
  }

  /**
   * The parameter of this name, made now, or in a copy found and checked.
   *
   * @throws ReverieException if the name is taken, or in a copy missing or of another shape
   */
  public Parameter create(String name, AxisOrder axisOrder, Initialiser initialiser, int... dims) {
    String full = prefix + name;
    Shape shape = Shape.of(dims);
    Parameter existing = store.byName.get(full);
    if (store.filling == Filling.GIVEN) {
      if (existing == null || !existing.shape().equals(shape)) {
        throw new ReverieException(
            "parameters: expected "
                + full
                + shape
                + ", the copied model has "
                + (existing == null ? "none" : existing));
      }
      return existing;
    }
    if (existing != null) {
      throw new ReverieException("parameters: " + existing + " exists already");
    }
    Parameter parameter =
        store.weights == DType.F32 || dims.length < 2
            ? new Parameter(full, axisOrder, shape, first(full, initialiser, dims))
            : narrow(full, axisOrder, initialiser, dims);
    store.byName.put(full, parameter);
    return parameter;
  }

  private Parameter narrow(String full, AxisOrder axisOrder, Initialiser initialiser, int... dims) {
    Shape shape = Shape.of(dims);
    Parameter parameter =
        new Parameter(
            full,
            axisOrder,
            store.filling == Filling.ZEROS
                ? Narrow.zeros(store.device, store.weights, shape, store.scope)
                : Narrow.unset(store.device, store.weights, shape, store.scope));
    if (store.filling == Filling.RANDOM) {
      try (Scope _ = Scope.open("parameter")) {
        parameter.write(initialiser.make(store.device, store.rng.fork(full), dims));
      }
    }
    return parameter;
  }

  private Tensor first(String full, Initialiser initialiser, int... dims) {
    return switch (store.filling) {
      case SHAPES, GIVEN -> null;
      case ZEROS -> constant(Initialiser.zeros(), dims);
      case UNSET -> constant((device, _, sides) -> device.unset(device.floatType(), sides), dims);
      case RANDOM -> {
        try (Scope _ = Scope.open("parameter")) {
          yield store.scope.adopt(
              initialiser.make(store.device, store.rng.fork(full), dims).contiguous());
        }
      }
    };
  }

  /**
   * A tensor that lives as long as the parameters but is not one: a table of frequencies. Null if
   * shapes only.
   */
  public Tensor constant(Initialiser values, int... dims) {
    if (store.device == null) {
      return null;
    }
    try (Scope _ = Scope.open("constant")) {
      return store.scope.adopt(values.make(store.device, store.rng, dims));
    }
  }

  /** All of this part, in the order of their making. */
  public List<Parameter> all() {
    return store.byName.values().stream().filter(p -> p.name().startsWith(prefix)).toList();
  }

  /** Those that training changes. */
  public List<Parameter> trainable() {
    return all().stream().filter(Parameter::trainable).toList();
  }

  /**
   * The parameter of this name, seen from this part.
   *
   * @throws ReverieException if there is none
   */
  public Parameter get(String name) {
    Parameter parameter = store.byName.get(prefix + name);
    if (parameter == null) {
      throw new ReverieException("parameters: there is no " + prefix + name);
    }
    return parameter;
  }

  /** Whether there is a parameter of this name. */
  public boolean contains(String name) {
    return store.byName.containsKey(prefix + name);
  }

  /** Number of values. */
  public long count() {
    return all().stream().mapToLong(p -> p.shape().size()).sum();
  }

  /** Stops training those whose full name matches. */
  public void freeze(Predicate<String> names) {
    all().stream().filter(p -> names.test(p.name())).forEach(p -> p.setTrainable(false));
  }

  /** Trains those whose full name matches. */
  public void unfreeze(Predicate<String> names) {
    all().stream().filter(p -> names.test(p.name())).forEach(p -> p.setTrainable(true));
  }

  /**
   * Takes over all values of parameters of the same names and shapes.
   *
   * @throws ReverieException if a name is missing there or a shape differs
   */
  public void copyFrom(Parameters source) {
    for (Parameter p : all()) {
      Parameter other = source.store.byName.get(p.name());
      if (other == null || !other.shape().equals(p.shape())) {
        throw new ReverieException(
            "parameters: expected " + p + " to copy from, got " + (other == null ? "none" : other));
      }
      try (Scope _ = Scope.open("copy")) {
        p.write(other.read());
      }
    }
  }

  /** The same names and values in memory of their own; build a second model on them. */
  public Parameters copy() {
    Parameters copy = empty(store.device, store.rng, Filling.GIVEN, store.weights);
    try (Scope _ = Scope.open("copy of parameters")) {
      for (Parameter p : all()) {
        copy.store.byName.put(p.name(), p.copiedTo(copy.store.scope));
      }
    }
    return copy;
  }

  /** A {@link #copy()} that no training changes: the reference model. */
  public Parameters frozenCopy() {
    Parameters copy = copy();
    copy.freeze(_ -> true);
    return copy;
  }

  /** Ends the memory of all parameters, whatever part this is. */
  @Override
  public void close() {
    store.scope.close();
  }
}
