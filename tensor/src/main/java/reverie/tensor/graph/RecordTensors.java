// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.graph;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.reflect.RecordComponent;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import reverie.tensor.ReverieException;
import reverie.tensor.Tensor;

/**
 * Takes records apart into the tensors they hold, and makes like records of other tensors. A
 * component is a tensor, a list of tensors or another such record, and may be null.
 */
final class RecordTensors {
  private final MethodHandles.Lookup lookup;
  private final Map<Class<?>, Parts> known = new HashMap<>();

  /** How records of one class are read and made. */
  private record Parts(List<MethodHandle> accessors, MethodHandle constructor) {}

  /** For records that the owner of this lookup can read and make. */
  RecordTensors(MethodHandles.Lookup lookup) {
    this.lookup = lookup;
  }

  /** The tensors in the order of the components, null where there is none. */
  Tensor[] tensors(Record record) {
    List<Tensor> out = new ArrayList<>();
    add(record, out);
    return out.toArray(Tensor[]::new);
  }

  private void add(Record record, List<Tensor> out) {
    for (Object value : values(record)) {
      switch (value) {
        case null -> out.add(null);
        case Tensor tensor -> out.add(tensor);
        case Record inner -> add(inner, out);
        case List<?> list -> list.forEach(element -> out.add(tensor(element, record)));
        default -> tensor(value, record);
      }
    }
  }

  private static Tensor tensor(Object value, Record record) {
    if (value instanceof Tensor tensor) {
      return tensor;
    }
    throw new ReverieException(
        "captured function: expected tensors, lists or records of them in "
            + record.getClass().getSimpleName()
            + ", got "
            + (value == null ? null : value.getClass().getSimpleName()),
        "what stays the same from call to call belongs to the function; what varies is a tensor");
  }

  /** A record like this one, null in the same places, of the tensors that {@link #tensors} gave. */
  <R extends Record> R with(R like, Tensor... tensors) {
    int[] next = {0};
    return with(like, tensors, next);
  }

  private <R extends Record> R with(R like, Tensor[] tensors, int[] next) {
    List<Object> values = new ArrayList<>();
    for (Object value : values(like)) {
      values.add(
          switch (value) {
            case null -> tensors[next[0]++];
            case Record inner -> with(inner, tensors, next);
            case List<?> list ->
                Stream.generate(() -> tensors[next[0]++]).limit(list.size()).toList();
            default -> tensors[next[0]++];
          });
    }
    @SuppressWarnings("unchecked")
    Class<R> type = (Class<R>) like.getClass();
    return type.cast(call(parts(type).constructor, values.toArray()));
  }

  private List<Object> values(Record record) {
    List<Object> values = new ArrayList<>();
    for (MethodHandle accessor : parts(record.getClass()).accessors) {
      values.add(call(accessor, record));
    }
    return values;
  }

  private synchronized Parts parts(Class<?> type) {
    return known.computeIfAbsent(type, this::find);
  }

  private Parts find(Class<?> type) {
    RecordComponent[] components = type.getRecordComponents();
    try {
      List<MethodHandle> accessors = new ArrayList<>();
      for (RecordComponent component : components) {
        accessors.add(lookup.unreflect(component.getAccessor()));
      }
      Class<?>[] types =
          Stream.of(components).map(RecordComponent::getType).toArray(Class<?>[]::new);
      return new Parts(
          accessors, lookup.findConstructor(type, MethodType.methodType(void.class, types)));
    } catch (IllegalAccessException | NoSuchMethodException e) {
      throw new ReverieException(
          "captured function: " + type.getName() + " cannot be read from " + lookup,
          "pass MethodHandles.lookup() of a class that sees the record",
          e);
    }
  }

  private static Object call(MethodHandle handle, Object... arguments) {
    try {
      return handle.invokeWithArguments(arguments);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException("a record's constructor or accessor declared " + e, e);
    }
  }
}
