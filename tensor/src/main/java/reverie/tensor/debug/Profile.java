// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.debug;

import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import reverie.tensor.Device;
import reverie.tensor.Interpreter;
import reverie.tensor.Tensor;
import reverie.tensor.op.Cost;
import reverie.tensor.op.Op;

/**
 * Times every operation; waits for the device after each, so that the time is the operation's own.
 */
public final class Profile implements Interpreter {
  private final Interpreter next;
  private final Map<String, Row> rows = new HashMap<>();

  /**
   * What operations of one name took together.
   *
   * @param flops as counted by {@link Cost}
   * @param bytes likewise
   */
  public record Row(String operation, long count, long nanos, double flops, double bytes) {
    private Row plus(Row other) {
      return new Row(
          operation,
          count + other.count,
          nanos + other.nanos,
          flops + other.flops,
          bytes + other.bytes);
    }
  }

  /** A profile of what another interpreter carries out. */
  public Profile(Interpreter next) {
    this.next = next;
  }

  @Override
  public Tensor[] apply(Device device, Op op, Tensor... inputs) {
    long start = System.nanoTime();
    Tensor[] outputs = next.apply(device, op, inputs);
    outputs[0].device().backend().synchronize();
    record(op, System.nanoTime() - start, inputs);
    return outputs;
  }

  @Override
  public void update(Op op, Tensor[] targets, Tensor... inputs) {
    long start = System.nanoTime();
    next.update(op, targets, inputs);
    targets[0].device().backend().synchronize();
    record(op, System.nanoTime() - start, inputs);
  }

  /** Adds an operation that was timed elsewhere. */
  public void record(Op op, long nanos, Tensor... inputs) {
    Cost cost = Cost.of(op, Stream.of(inputs).map(Tensor::type).toList());
    rows.merge(op.name(), new Row(op.name(), 1, nanos, cost.flops(), cost.bytes()), Row::plus);
  }

  /** One row for each operation, the longest first. */
  public List<Row> rows() {
    return rows.values().stream().sorted(Comparator.comparingLong(Row::nanos).reversed()).toList();
  }

  /** The rows as text. */
  public String table() {
    double total = rows.values().stream().mapToLong(Row::nanos).sum();
    StringBuilder table = new StringBuilder();
    table.append(
        String.format(
            Locale.ROOT, "%-28s %8s %10s %6s %9s%n", "operation", "count", "ms", "%", "GFLOP/s"));
    for (Row row : rows()) {
      table.append(
          String.format(
              Locale.ROOT,
              "%-28s %8d %10.2f %6.1f %9.2f%n",
              row.operation,
              row.count,
              row.nanos / 1e6,
              100 * row.nanos / total,
              row.flops / row.nanos));
    }
    return table.toString();
  }
}
