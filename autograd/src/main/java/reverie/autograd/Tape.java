// SPDX-License-Identifier: Apache-2.0
package reverie.autograd;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import reverie.tensor.Device;
import reverie.tensor.Interpreter;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.op.Op;

/**
 * Reverse-mode differentiation: records the operations that depend on chosen tensors while they are
 * carried out, then walks back through them with the table {@link Pullbacks}.
 *
 * <pre>{@code
 * Tape.Result r = Tape.run(List.of(w), () -> Ops.mse(x.matmul(w), y));
 * Tensor dw = r.gradient(w);
 * }</pre>
 *
 * Tapes nest: the backward pass of an inner tape is recorded by the outer one, which gives higher
 * derivatives.
 */
public final class Tape implements Interpreter {
  /** Marks code whose operations the tapes outside do not record. */
  private static final ScopedValue<Object> PAUSE = ScopedValue.newInstance();

  /** Bound while a tape records. */
  private static final ScopedValue<Boolean> RECORDING = ScopedValue.newInstance();

  private final Interpreter next;
  private final Object pause = currentPause();
  private final Tape outer;

  /** Whether another tape records the way back, for which everything on it must live on. */
  private final boolean nested = RECORDING.isBound();

  private final Set<Tensor> tracked = Collections.newSetFromMap(new IdentityHashMap<>());
  private final List<Entry> entries = new ArrayList<>();

  private Tape(Interpreter next, Tape outer, Collection<Tensor> roots) {
    this.next = next;
    this.outer = outer;
    tracked.addAll(roots);
  }

  /**
   * What was carried out, and how to get from gradients of its outputs to gradients of what it
   * used.
   */
  private record Entry(Tensor[] outputs, Function<Tensor[], Map<Tensor, Tensor>> pullback) {}

  /** A loss and its gradients; both live in the scope that was open around {@link Tape#run}. */
  public static final class Result {
    private final Tensor loss;
    private final Map<Tensor, Tensor> gradients;

    private Result(Tensor loss, Map<Tensor, Tensor> gradients) {
      this.loss = loss;
      this.gradients = gradients;
    }

    /** The value that was differentiated. */
    public Tensor loss() {
      return loss;
    }

    /**
     * The gradient with respect to one of the chosen tensors, of its shape; zeros if the loss does
     * not depend on it.
     *
     * @throws ReverieException if {@code root} was not among the chosen tensors
     */
    public Tensor gradient(Tensor root) {
      Tensor gradient = gradients.get(root);
      if (gradient == null) {
        throw new ReverieException(
            "tape: no gradient was asked for with respect to this " + root.type(),
            "pass the tensor in the first argument of Tape.run, the very object");
      }
      return gradient;
    }
  }

  /**
   * Carries out {@code loss}, which returns a tensor of one element, and differentiates it with
   * respect to {@code wrt}. What it makes on the way lives in the innermost open scope.
   */
  public static Result run(Collection<Tensor> wrt, Supplier<Tensor> loss) {
    Tape tape = new Tape(Interpreter.current(), null, wrt);
    Tensor value = tape.record(loss);
    if (value.size() != 1) {
      throw new ReverieException(
          "tape: expected a loss of one element, got " + value.type(),
          "reduce it with mean() or sum()");
    }
    Map<Tensor, Tensor> gradients = new IdentityHashMap<>();
    gradients.put(value, value.device().full(1, value.shape().dims()));
    tape.reverse(gradients);
    Map<Tensor, Tensor> chosen = new IdentityHashMap<>();
    for (Tensor root : wrt) {
      Tensor g = gradients.get(root);
      chosen.put(root, g == null ? root.device().zeros(root.shape().dims()) : g);
    }
    return new Result(value, chosen);
  }

  /**
   * Vector-Jacobian product: the gradients of {@code Σ cotangents·f} with respect to {@code
   * inputs}, null where f does not depend on one. A null cotangent counts as zero.
   */
  public static Tensor[] pullback(Supplier<Tensor[]> f, Tensor[] inputs, Tensor[] cotangents) {
    Tape tape = new Tape(Interpreter.current(), null, List.of(inputs));
    Tensor[] outputs = tape.record(f);
    Map<Tensor, Tensor> gradients = new IdentityHashMap<>();
    for (int i = 0; i < outputs.length; i++) {
      if (cotangents[i] != null) {
        gradients.merge(outputs[i], cotangents[i], Tensor::add);
      }
    }
    tape.reverse(gradients);
    Tensor[] out = new Tensor[inputs.length];
    for (int i = 0; i < inputs.length; i++) {
      out[i] = gradients.get(inputs[i]);
    }
    return out;
  }

  /**
   * Carries out {@code f} without recording its inside; the backward pass carries it out again
   * (Chen et al. 2016). Trades a second forward pass for the memory of everything in between.
   * {@code f} must give the same result both times; it may use any tensor around it, and gradients
   * reach those too.
   */
  public static Tensor checkpoint(Supplier<Tensor> f) {
    Tape tape = recording();
    if (tape == null) {
      return f.get();
    }
    Tensor output;
    try (Scope scope = Scope.open("checkpoint")) {
      // A fresh tensor: f may return one that the tape knows already.
      output = scope.keep(noGradient(f)).detach();
    }
    Tensor[] outputs = {output};
    tape.tracked.add(output);
    tape.entries.add(
        new Entry(
            outputs,
            cotangents -> {
              Tape inner = new Tape(tape.next, tape, List.of());
              Tensor again = inner.record(f);
              Map<Tensor, Tensor> gradients = new IdentityHashMap<>();
              gradients.put(again, cotangents[0]);
              inner.reverse(gradients);
              gradients.keySet().removeIf(t -> !tape.tracks(t));
              return gradients;
            }));
    return output;
  }

  private <T> T record(Supplier<T> body) {
    return ScopedValue.where(RECORDING, true).call(() -> Interpreter.with(this, body));
  }

  /** Carries out {@code body} so that no tape around it records anything. */
  public static <T> T noGradient(Supplier<T> body) {
    return ScopedValue.where(PAUSE, new Object()).call(body::get);
  }

  @Override
  public Tensor[] apply(Device device, Op op, Tensor... inputs) {
    if (pause != currentPause()) {
      return next.apply(device, op, inputs);
    }
    boolean[] needs = new boolean[inputs.length];
    boolean any = false;
    for (int i = 0; i < inputs.length; i++) {
      needs[i] = tracks(inputs[i]);
      any |= needs[i];
    }
    Tensor[] outputs = next.apply(device, op, inputs);
    if (any && Pullbacks.differentiable(op)) {
      Tensor[] used = inputs.clone();
      Collections.addAll(tracked, outputs);
      entries.add(new Entry(outputs, cotangents -> pull(op, used, outputs, cotangents, needs)));
    }
    return outputs;
  }

  @Override
  public void update(Op op, Tensor[] targets, Tensor... inputs) {
    for (Tensor target : targets) {
      if (pause == currentPause() && tracks(target)) {
        throw new ReverieException(
            op.name() + ": " + target.type() + " is updated in place while a tape records it",
            "update after Tape.run, or inside Tape.noGradient");
      }
    }
    next.update(op, targets, inputs);
  }

  private static Object currentPause() {
    return PAUSE.isBound() ? PAUSE.get() : null;
  }

  /** The innermost tape that records now, looking only at the current interpreter itself. */
  private static Tape recording() {
    return Interpreter.current() instanceof Tape tape && tape.pause == currentPause() ? tape : null;
  }

  private boolean tracks(Tensor t) {
    return tracked.contains(t) || (outer != null && outer.tracks(t));
  }

  /**
   * Walks back; adds to {@code gradients} those of everything tracked. Runs under what this tape
   * wraps.
   */
  private void reverse(Map<Tensor, Tensor> gradients) {
    Interpreter.with(
        next,
        () -> {
          for (int i = entries.size() - 1; i >= 0; i--) {
            pullBack(entries.get(i), gradients);
          }
          return null;
        });
  }

  private void pullBack(Entry entry, Map<Tensor, Tensor> gradients) {
    Tensor[] cotangents = new Tensor[entry.outputs.length];
    boolean any = false;
    for (int i = 0; i < cotangents.length; i++) {
      cotangents[i] = gradients.remove(entry.outputs[i]);
      any |= cotangents[i] != null;
    }
    if (!any) {
      return;
    }
    try (Scope scope = nested ? null : Scope.open("pullback")) {
      entry
          .pullback
          .apply(cotangents)
          .forEach((input, gradient) -> {
            Tensor before = gradients.get(input);
            Tensor sum = before == null ? gradient : before.add(gradient);
            gradients.put(input, scope == null ? sum : scope.keep(sum));
          });
    }
  }

  private static Map<Tensor, Tensor> pull(
      Op op, Tensor[] inputs, Tensor[] outputs, Tensor[] cotangents, boolean[] needs) {
    Tensor[] gradients = Pullbacks.pull(op, inputs, outputs, cotangents, needs);
    Map<Tensor, Tensor> out = new IdentityHashMap<>();
    for (int i = 0; i < inputs.length; i++) {
      if (needs[i] && gradients[i] != null) {
        out.merge(inputs[i], unbroadcast(gradients[i], inputs[i]), Tensor::add);
      }
    }
    return out;
  }

  /**
   * Broadcasting repeats an input; its gradient is the sum over the repetitions. Done here, for all
   * operations.
   */
  private static Tensor unbroadcast(Tensor gradient, Tensor input) {
    if (gradient.shape().equals(input.shape())) {
      return gradient;
    }
    int lead = gradient.shape().rank() - input.shape().rank();
    int[] repeated =
        IntStream.range(0, gradient.shape().rank())
            .filter(i -> i < lead || (input.dim(i - lead) == 1 && gradient.dim(i) != 1))
            .toArray();
    Tensor sum = repeated.length == 0 ? gradient : gradient.sumKeep(repeated);
    return sum.reshape(input.shape().dims());
  }
}
