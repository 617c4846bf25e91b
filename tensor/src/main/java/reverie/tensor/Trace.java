// SPDX-License-Identifier: Apache-2.0
package reverie.tensor;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import reverie.tensor.op.Op;
import reverie.tensor.spi.Backend;

/**
 * Notes what {@link Direct} would have a backend carry out, with shapes alone: no memory, no
 * computing.
 */
final class Trace extends Direct {
  private static final ScopedValue<Trace> ACTIVE = ScopedValue.newInstance();

  private final Device device;
  private final List<Step> steps = new ArrayList<>();

  /** One operation on memory that does not exist yet. */
  record Step(Op op, Tensor[] inputs, Tensor[] outputs, long scratchBytes) {}

  Trace(Device device) {
    this.device = device;
  }

  /** Notes what {@code body} does; its operations come here whatever interpreter runs outside. */
  Tensor[] of(Supplier<Tensor[]> body) {
    refuseReplay();
    return ScopedValue.where(ACTIVE, this).call(() -> Interpreter.with(this, body));
  }

  List<Step> steps() {
    return steps;
  }

  @Override
  Tensor allocate(Device on, TensorType type) {
    return on.own(Scope.current(), type, Storage.meta(type.bytes()));
  }

  @Override
  void compute(Backend backend, Op op, Tensor[] inputs, Tensor[] outputs) {
    if (backend != device.backend()) {
      throw new CapturedGraph.Refusal(
          "captured step: expected every operation on "
              + device
              + ", got "
              + op.name()
              + " on "
              + outputs[0].device(),
          "move the tensors to one device, or capture each device's part");
    }
    steps.add(
        new Step(op, inputs.clone(), outputs.clone(), backend.scratchBytes(op, inputs, outputs)));
  }

  static void refuseUpload(String operation) {
    refuse(
        operation + ": values of the host would be the same in every run of a captured step",
        "make the tensor outside, before; between runs change it with assign");
  }

  static void refuseDownload(TensorType type) {
    refuse(
        "captured step: the values of " + type + " were read, but nothing is computed yet",
        "let the step return the tensor and read it after run(); decide with Ops.where inside");
  }

  static void refuseRandom() {
    refuse(
        "rng: random numbers would be the same in every run of a captured step",
        "draw them outside, before, and change them with assign between runs");
  }

  static void refuseReplay() {
    refuse(
        "captured step: expected no captured step inside another",
        "call the function of the inner step instead");
  }

  private static void refuse(String what, String hint) {
    if (ACTIVE.isBound()) {
      throw new CapturedGraph.Refusal(what, hint);
    }
  }
}
