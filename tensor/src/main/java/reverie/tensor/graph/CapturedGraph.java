// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.graph;

import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import reverie.tensor.CaptureException;
import reverie.tensor.Capturing;
import reverie.tensor.Device;
import reverie.tensor.Direct;
import reverie.tensor.Interpreter;
import reverie.tensor.Scope;
import reverie.tensor.Storage;
import reverie.tensor.Tensor;
import reverie.tensor.debug.NanGuard;
import reverie.tensor.debug.Profile;
import reverie.tensor.spi.Backend;
import reverie.tensor.spi.Buffer;
import reverie.tensor.spi.Call;
import reverie.tensor.spi.Replay;
import reverie.tensor.spi.Step;

/**
 * A function of tensors whose operations were recorded once and are carried out again and again,
 * with all memory planned and nothing allocated: the same bits as the function itself.
 *
 * <pre>{@code
 * Tensor x = device.zeros(16, 8);
 * try (CapturedGraph step = CapturedGraph.of(device, () -> new Tensor[] {model(x)})) {
 *   for (float[] batch : batches) {
 *     x.assign(batch);
 *     step.run();
 *     float[] y = step.outputs().getFirst().toFloats();
 *   }
 * }
 * }</pre>
 *
 * The function may be a whole training step, with {@code Tape.run} and updates in place. It is
 * called once, with shapes alone: nothing is computed and no value can be read in it. What differs
 * between runs must be a tensor made outside and changed between them; a number in Java, the
 * parameter of an operation or the choice of a branch stays as it was. Tensors made outside are
 * read and written where they are and must live as long as the step; of those made inside only the
 * returned ones have values, from one {@link #run} to the next.
 *
 * <p>Under another interpreter, such as {@link NanGuard}, a run calls the function again, so that
 * the interpreter sees its operations.
 */
public final class CapturedGraph implements AutoCloseable {
  /** More is given back between runs: fresh pages cost about two seconds a gigabyte. */
  private static final long LARGE_BYTES = 64L << 20;

  private final Supplier<Tensor[]> function;
  private final Scope scope = Scope.detached("captured step");
  private final Storage memory;
  private final List<Tensor> outside;
  private final List<Tensor> outputs;
  private final List<Call> calls = new ArrayList<>();
  private final Replay replay;
  private final long plannedBytes;
  private final long requestedBytes;
  private final Runnable discard;

  private CapturedGraph(
      Backend backend, Supplier<Tensor[]> function, List<Step> steps, Tensor[] results) {
    this.function = function;
    Liveness liveness = new Liveness(steps, results);
    outside = liveness.outside();
    requestedBytes = liveness.requestedBytes();
    MemoryPlan plan = MemoryPlan.of(liveness.blocks(), backend.alignment());
    plannedBytes = plan.bytes();
    memory = Storage.allocated(backend, plannedBytes);
    scope.adopt(memory);
    Buffer whole = memory.live(this);
    discard = plannedBytes > LARGE_BYTES ? () -> backend.discard(whole) : () -> {};
    Map<Storage, Storage> parts = new IdentityHashMap<>();
    liveness
        .places()
        .forEach((storage, block) ->
            parts.put(
                storage,
                Storage.part(memory, backend.part(whole, plan.offsets()[block], storage.bytes()))));
    for (int i = 0; i < steps.size(); i++) {
      Step step = steps.get(i);
      int scratch = liveness.scratch(i);
      calls.add(
          new Call(
              step.op(),
              placed(step.inputs(), parts),
              placed(step.outputs(), parts),
              scratch < 0
                  ? null
                  : backend.part(whole, plan.offsets()[scratch], step.scratchBytes())));
    }
    outputs = List.of(placed(results, parts));
    replay = prepared(backend);
  }

  private Replay prepared(Backend backend) {
    try {
      return backend.prepare(List.copyOf(calls));
    } catch (RuntimeException | Error e) {
      scope.close();
      throw e;
    }
  }

  private static Tensor[] placed(Tensor[] tensors, Map<Storage, Storage> parts) {
    return Stream.of(tensors)
        .map(t -> t.storage().isMeta() ? t.withStorage(parts.get(t.storage())) : t)
        .toArray(Tensor[]::new);
  }

  /**
   * Captures what {@code step} does, without doing it.
   *
   * @param step returns the tensors to read after a run
   * @throws CaptureException if the step reads values, uploads or draws some, or works on another
   *     device
   */
  public static CapturedGraph of(Device device, Supplier<Tensor[]> step) {
    return of(device, device.backend().rematerializeAboveBytes(), step);
  }

  static CapturedGraph of(Device device, long aboveBytes, Supplier<Tensor[]> step) {
    try (Scope _ = Scope.open("captured step")) {
      Tracer tracer = new Tracer(device);
      Tensor[] results =
          tracer.of(() ->
              Stream.of(step.get())
                  .map(t -> t.storage().isMeta() ? t.contiguous() : t)
                  .toArray(Tensor[]::new));
      Stream.of(results).forEach(Tensor::checkLive);
      Set<Storage> kept = Stream.of(results).map(Tensor::storage).collect(Collectors.toSet());
      List<Step> arranged = device.backend().arrange(DeadCode.of(tracer.steps(), results), kept);
      List<Step> steps = CopyElision.of(arranged, kept);
      return new CapturedGraph(
          device.backend(), step, Rematerialization.of(steps, aboveBytes, results), results);
    }
  }

  /** Does what the function does, on what the tensors outside hold now. */
  public void run() {
    check();
    Interpreter current = Interpreter.current();
    if (current == Direct.INSTANCE) {
      replay.run(null);
      return;
    }
    try (Scope _ = Scope.open("captured step")) {
      Tensor[] values = function.get();
      for (int i = 0; i < values.length; i++) {
        // What was there before has its values already.
        if (values[i].storage() != outputs.get(i).storage()) {
          outputs.get(i).assign(values[i]);
        }
      }
    }
  }

  /** The same, and adds to {@code profile} how long each operation took. */
  public void run(Profile profile) {
    check();
    long[] nanos = new long[calls.size()];
    replay.run(nanos);
    for (int i = 0; i < nanos.length; i++) {
      profile.record(calls.get(i).op(), nanos[i], calls.get(i).inputs());
    }
  }

  private void check() {
    Capturing.refuseNested();
    memory.check(this);
    for (int i = 0; i < outside.size(); i++) {
      outside.get(i).checkLive();
    }
  }

  /** What the function returned; the values are those of the last run. */
  public List<Tensor> outputs() {
    return outputs;
  }

  /** Bytes that all tensors made inside share. */
  public long plannedBytes() {
    return plannedBytes;
  }

  /** Bytes that they would need if none shared memory with another. */
  public long requestedBytes() {
    return requestedBytes;
  }

  /** How many operations a run carries out. */
  public int operations() {
    return calls.size();
  }

  /**
   * Gives the memory of a large step back to the system until it runs again, for what comes in
   * between; its outputs have no values till then.
   */
  public void discard() {
    discard.run();
  }

  /** For instance {@code captured step of 300 operations}. */
  @Override
  public String toString() {
    return "captured step of " + calls.size() + " operations";
  }

  /** Frees the memory; the outputs end with it. */
  @Override
  public void close() {
    replay.close();
    discard();
    scope.close();
  }
}
