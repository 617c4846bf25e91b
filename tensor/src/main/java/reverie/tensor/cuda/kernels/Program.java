// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import reverie.tensor.Tensor;
import reverie.tensor.op.AdamW;
import reverie.tensor.spi.Call;

/**
 * A list of operations on fixed memory, as launches for a graph: weights are prepared outside it,
 * and updates of many tensors are one launch. AdamW writes what is prepared of the weights too.
 */
public final class Program implements AutoCloseable {
  /**
   * Operations that are one launch, or one operation.
   *
   * @param table null if there is one operation
   * @param later what is written by the steps after a step of AdamW
   */
  private record Step(List<Call> calls, Updates.Table table, Ranges later) {
    boolean isAdamW() {
      return calls.getFirst().op() instanceof AdamW;
    }
  }

  private final Operations operations;
  private final Updates updates;
  private final PreparedWeights prepared;
  private int changes;
  private final PreparedWeights.Use weights;
  private final Ranges written = new Ranges();
  private final List<Step> steps = new ArrayList<>();

  Program(Operations operations, Updates updates, PreparedWeights prepared, List<Call> calls) {
    this.operations = operations;
    this.updates = updates;
    this.prepared = prepared;
    changes = prepared.changes();
    for (Call call : calls) {
      for (Tensor y : call.outputs()) {
        written.add(y);
      }
    }
    weights = prepared.new Use(written);
    try {
      for (int i = 0; i < calls.size(); i += steps.getLast().calls.size()) {
        List<Call> together = calls.subList(i, i + Updates.together(calls, i));
        steps.add(step(together, calls.subList(i + together.size(), calls.size())));
      }
      operations.rehearsal().of(this::run);
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  private Step step(List<Call> together, List<Call> after) {
    Ranges later = new Ranges();
    Step step = new Step(together, null, later);
    if (step.isAdamW()) {
      after.forEach(call -> Stream.of(call.outputs()).forEach(later::add));
    }
    return step.isAdamW() || together.size() > 1
        ? new Step(together, updates.table(together, pieces(step)), later)
        : step;
  }

  /** What is prepared of the weights that each call leaves as they are then. */
  private List<List<PreparedWeights.Piece>> pieces(Step step) {
    return step.calls.stream()
        .map(call -> call.outputs()[0])
        .map(weight ->
            step.isAdamW() && !step.later.overlaps(weight)
                ? Updates.writable(prepared.of(weight))
                : List.<PreparedWeights.Piece>of())
        .toList();
  }

  /** How many steps there are, each of one or more operations. */
  public int steps() {
    return steps.size();
  }

  /** The operations of a step. */
  public List<Call> calls(int step) {
    return steps.get(step).calls;
  }

  /** Has the device do all steps. */
  public void run() {
    for (int step = 0; step < steps.size(); step++) {
      run(step);
    }
  }

  /** Has the device do one step. */
  public void run(int index) {
    weights.in(() -> {
      Step step = steps.get(index);
      if (step.table != null) {
        step.table.run();
      } else {
        Call call = step.calls.getFirst();
        operations.launch(call.op(), call.inputs(), call.outputs(), call.scratch());
      }
    });
  }

  /**
   * Prepares what the steps need outside the graph; before each of its runs.
   *
   * @return whether a launch has other arguments than before, so that the graph is another
   */
  public boolean prepare() {
    weights.refresh();
    boolean others = false;
    if (changes != prepared.changes()) {
      for (int i = 0; i < steps.size(); i++) {
        others |= steps.get(i).isAdamW() && follow(i);
      }
      changes = prepared.changes();
    }
    return others;
  }

  /** Has a step write what is prepared now; whether that is something else than before. */
  private boolean follow(int index) {
    Step step = steps.get(index);
    List<List<PreparedWeights.Piece>> pieces = pieces(step);
    if (step.table.pieces().equals(pieces.stream().flatMap(List::stream).toList())) {
      return false;
    }
    steps.set(index, new Step(step.calls, updates.table(step.calls, pieces), step.later));
    step.table.close();
    return true;
  }

  /** Records what the steps have written; after each run of the graph. */
  public void finish() {
    written.forEach(operations::written);
    for (Step step : steps) {
      if (step.table != null) {
        step.table.pieces().forEach(PreparedWeights.Piece::refreshed);
      }
    }
  }

  @Override
  public void close() {
    weights.close();
    for (Step step : steps) {
      if (step.table != null) {
        step.table.close();
      }
    }
    steps.clear();
  }
}
