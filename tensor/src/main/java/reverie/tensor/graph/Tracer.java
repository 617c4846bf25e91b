// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.graph;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import reverie.tensor.CaptureException;
import reverie.tensor.Capturing;
import reverie.tensor.Device;
import reverie.tensor.Direct;
import reverie.tensor.Interpreter;
import reverie.tensor.Storage;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;
import reverie.tensor.op.Op;
import reverie.tensor.spi.Backend;
import reverie.tensor.spi.Step;

/**
 * Records what {@link Direct} would have a backend carry out, with shapes alone: no memory, no
 * computing.
 */
final class Tracer extends Direct {
  private final Device device;
  private final List<Step> steps = new ArrayList<>();

  Tracer(Device device) {
    this.device = device;
  }

  /** Records what {@code body} does; its operations come here whatever interpreter runs outside. */
  Tensor[] of(Supplier<Tensor[]> body) {
    return Capturing.run(() -> Interpreter.with(this, body));
  }

  List<Step> steps() {
    return steps;
  }

  @Override
  protected Tensor allocate(Device on, TensorType type) {
    return on.tensor(type, Storage.meta(type.bytes()));
  }

  @Override
  protected void compute(Backend backend, Op op, Tensor[] inputs, Tensor[] outputs) {
    if (backend != device.backend()) {
      throw new CaptureException(
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
}
