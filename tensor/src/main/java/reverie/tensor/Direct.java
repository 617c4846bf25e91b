// SPDX-License-Identifier: Apache-2.0
package reverie.tensor;

import java.util.List;
import java.util.stream.Stream;
import reverie.tensor.op.Copy;
import reverie.tensor.op.ElementWise;
import reverie.tensor.op.Fused;
import reverie.tensor.op.Op;
import reverie.tensor.op.View;
import reverie.tensor.spi.Backend;
import reverie.tensor.spi.Buffer;

/**
 * Computes at once: checks types, makes views without work, hands everything else to the device's
 * backend, and decomposes fused operations that the backend does not know.
 */
public class Direct implements Interpreter {
  /** The one that is current where nobody set another. */
  public static final Direct INSTANCE = new Direct();

  /** For those that do something else with what a backend would be given. */
  protected Direct() {}

  /** Memory for an output. */
  protected Tensor allocate(Device device, TensorType type) {
    return device.allocate(type);
  }

  /** Has a backend carry out what it supports, on inputs as it accepts them. */
  protected void compute(Backend backend, Op op, Tensor[] inputs, Tensor[] outputs) {
    long bytes = backend.scratchBytes(op, inputs, outputs);
    Buffer scratch = bytes == 0 ? null : backend.allocate(bytes);
    try {
      backend.run(op, inputs, outputs, scratch);
    } finally {
      if (scratch != null) {
        backend.release(scratch);
      }
    }
  }

  @Override
  public Tensor[] apply(Device device, Op op, Tensor... inputs) {
    List<TensorType> types = infer(device, op, inputs);
    if (op instanceof View view) {
      return new Tensor[] {view(view, inputs[0])};
    }
    Backend backend = device.backend();
    if (!backend.supports(op, inputs)) {
      if (op instanceof Fused fused) {
        try (Scope scope = Scope.open("decomposition")) {
          Tensor[] outputs = Interpreter.with(this, () -> fused.decompose(inputs));
          for (int i = 0; i < outputs.length; i++) {
            // Always a tensor of its own: a definition may pass an input through.
            outputs[i] = scope.keep(outputs[i]).detach();
          }
          return outputs;
        }
      }
      throw new ReverieException(
          op.name() + ": the " + device + " device does not support it for " + types(inputs));
    }
    Tensor[] outputs = new Tensor[types.size()];
    for (int i = 0; i < outputs.length; i++) {
      outputs[i] = allocate(device, types.get(i));
    }
    run(backend, op, inputs, outputs);
    return outputs;
  }

  @Override
  public void update(Op op, Tensor[] targets, Tensor... inputs) {
    Device device = targets[0].device();
    List<TensorType> types = infer(device, op, inputs);
    boolean fit = targets.length == types.size();
    for (int i = 0; fit && i < targets.length; i++) {
      fit =
          targets[i].type().equals(types.get(i))
              && targets[i].isContiguous()
              && targets[i].device() == device;
    }
    if (!fit) {
      throw new ReverieException(
          op.name()
              + ": expected contiguous targets "
              + types
              + " on "
              + device
              + ", got "
              + types(targets));
    }
    if (device.backend().supports(op, inputs)
        && !(op instanceof View)
        && !overwritesInputs(op, targets, inputs)) {
      run(device.backend(), op, inputs, targets);
      return;
    }
    try (Scope _ = Scope.open("update")) {
      Tensor[] values = apply(device, op, inputs);
      for (int i = 0; i < targets.length; i++) {
        values[i] = sharesMemory(values[i], targets) ? copy(values[i]) : values[i];
      }
      for (int i = 0; i < targets.length; i++) {
        run(device.backend(), new Copy(), new Tensor[] {values[i]}, new Tensor[] {targets[i]});
      }
    }
  }

  private static boolean sharesMemory(Tensor tensor, Tensor... others) {
    return Stream.of(others).anyMatch(other -> other.storage() == tensor.storage());
  }

  /**
   * Whether a backend would write elements that it has yet to read: only element by element is in
   * place safe.
   */
  private static boolean overwritesInputs(Op op, Tensor[] targets, Tensor[] inputs) {
    boolean elementWise = op instanceof ElementWise;
    for (Tensor target : targets) {
      for (Tensor input : inputs) {
        boolean same =
            input.type().equals(target.type())
                && input.offset() == target.offset()
                && input.isContiguous();
        if (overlap(target, input) && !(elementWise && same)) {
          return true;
        }
      }
    }
    return false;
  }

  private static boolean overlap(Tensor a, Tensor b) {
    return a.storage() == b.storage()
        && a.size() > 0
        && b.size() > 0
        && a.offset() <= b.layout().last()
        && b.offset() <= a.layout().last();
  }

  private void run(Backend backend, Op op, Tensor[] given, Tensor[] outputs) {
    Tensor[] inputs = given;
    Scope copies = null;
    for (int i = 0; i < given.length; i++) {
      if (!given[i].isContiguous() && !backend.acceptsStrides(op, i)) {
        if (copies == null) {
          copies = Scope.open("contiguous copies");
          inputs = given.clone();
        }
        inputs[i] = copy(given[i]);
      }
    }
    try (Scope _ = copies) {
      for (Tensor t : inputs) {
        t.checkLive();
      }
      compute(backend, op, inputs, outputs);
    }
  }

  private Tensor view(View op, Tensor x) {
    return op.view(x.layout())
        .map(x::view)
        .orElseGet(() -> {
          Tensor copy = copy(x);
          return copy.view(op.view(copy.layout()).orElseThrow());
        });
  }

  private Tensor copy(Tensor x) {
    return apply(x.device(), new Copy(), x)[0];
  }

  /** The types of the outputs, after all checks of the inputs. */
  private static List<TensorType> infer(Device device, Op op, Tensor... inputs) {
    for (Tensor t : inputs) {
      if (t.device() != device) {
        throw new ReverieException(
            op.name()
                + ": expected all inputs on one device, got "
                + device
                + " and "
                + t.device());
      }
    }
    return op.infer(device.floatType(), types(inputs));
  }

  private static List<TensorType> types(Tensor[] tensors) {
    return Stream.of(tensors).map(Tensor::type).toList();
  }
}
