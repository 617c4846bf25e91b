// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.catalog;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.function.Supplier;
import reverie.tensor.op.Op;

/** What the catalogue knows of an operation: right uses and wrong ones. */
public final class Entry {
  private final List<Sample> samples = new ArrayList<>();
  private final List<Refusal> refusals = new ArrayList<>();
  private Tolerance tolerance = new Tolerance.Exact();

  Entry() {}

  /** Right uses. */
  public List<Sample> samples() {
    return Collections.unmodifiableList(samples);
  }

  /** Wrong uses. */
  public List<Refusal> refusals() {
    return Collections.unmodifiableList(refusals);
  }

  /** The tolerance of the samples added from here on; exact at first. */
  Entry within(Tolerance next) {
    tolerance = next;
    return this;
  }

  /** A use at which the operation is differentiable. */
  Entry smooth(Op op, Input... inputs) {
    return add(op, true, inputs);
  }

  /** A use at a kink, or too large for a gradient check. */
  Entry rough(Op op, Input... inputs) {
    return add(op, false, inputs);
  }

  /** A wrong use, with a part of what the error must say. */
  Entry refuse(String message, Op op, Input... inputs) {
    return refuseMaking(message, () -> op, inputs);
  }

  /** A wrong use that may fail when the operation is made. */
  Entry refuseMaking(String message, Supplier<Op> op, Input... inputs) {
    refusals.add(new Refusal(op, List.of(inputs), message));
    return this;
  }

  private Entry add(Op op, boolean differentiable, Input... inputs) {
    String label =
        String.format(Locale.ROOT, "%d %s%s", samples.size() + 1, op.name(), List.of(inputs));
    samples.add(new Sample(label, op, List.of(inputs), tolerance, differentiable));
    return this;
  }
}
