// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import java.util.ArrayList;
import java.util.List;
import reverie.tensor.Tensor;
import reverie.tensor.spi.Call;

/**
 * A list of operations on fixed memory, as launches for a graph: weights are prepared outside it,
 * and updates of many tensors are one launch.
 */
public final class Program implements AutoCloseable {
  /** Operations that are one launch, or one operation. */
  private record Step(List<Call> calls, Updates.Table table) {}

  private final Operations operations;
  private final PreparedWeights.Use weights;
  private final Ranges written = new Ranges();
  private final List<Step> steps = new ArrayList<>();

  Program(Operations operations, Updates updates, PreparedWeights prepared, List<Call> calls) {
    this.operations = operations;
    for (Call call : calls) {
      for (Tensor y : call.outputs()) {
        written.add(y);
      }
    }
    weights = prepared.new Use(written);
    try {
      for (int i = 0; i < calls.size(); i += steps.getLast().calls.size()) {
        List<Call> together = calls.subList(i, i + Updates.together(calls, i));
        steps.add(new Step(together, together.size() > 1 ? updates.table(together) : null));
      }
      operations.rehearsal().of(this::run);
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
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

  /** Prepares what the steps need outside the graph; before each of its runs. */
  public void prepare() {
    weights.refresh();
  }

  /** Records what the steps have written; after each run of the graph. */
  public void finish() {
    written.forEach(operations::written);
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
