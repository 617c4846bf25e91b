// SPDX-License-Identifier: Apache-2.0
package reverie.tensor;

import java.util.List;
import java.util.stream.Stream;
import reverie.tensor.op.AdamW;
import reverie.tensor.op.Affine;
import reverie.tensor.op.Binary;
import reverie.tensor.op.Clamp;
import reverie.tensor.op.Copy;
import reverie.tensor.op.Expand;
import reverie.tensor.op.Fill;
import reverie.tensor.op.Fused;
import reverie.tensor.op.GeluBackward;
import reverie.tensor.op.Lerp;
import reverie.tensor.op.Op;
import reverie.tensor.op.Permute;
import reverie.tensor.op.Power;
import reverie.tensor.op.RandomNormal;
import reverie.tensor.op.Reshape;
import reverie.tensor.op.RoundTo;
import reverie.tensor.op.Select;
import reverie.tensor.op.SiluBackward;
import reverie.tensor.op.Slice;
import reverie.tensor.op.Unary;
import reverie.tensor.spi.Backend;
import reverie.tensor.spi.Buffer;

/**
 * Computes at once: checks types, makes views without work, hands everything else to the device's
 * backend, and decomposes fused operations that the backend does not know.
 */
class Direct implements Interpreter {
  static final Direct INSTANCE = new Direct();

  Direct() {}

  /** Memory for an output. */
  Tensor allocate(Device device, TensorType type) {
    return device.allocate(type);
  }

  /** Has a backend carry out what it supports, on inputs as it accepts them. */
  void compute(Backend backend, Op op, Tensor[] inputs, Tensor[] outputs) {
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
  public Tensor[] apply(Op op, Tensor... inputs) {
    List<TensorType> types = infer(op, inputs);
    Tensor view = view(op, inputs, types);
    if (view != null) {
      return new Tensor[] {view};
    }
    Device device = device(op, inputs);
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
          op.name()
              + ": the "
              + device
              + " device does not support it for "
              + describe(types(inputs)));
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
    List<TensorType> types = infer(op, inputs);
    Device device = device(op, inputs);
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
        && !isView(op)
        && !overwritesInputs(op, targets, inputs)) {
      run(device.backend(), op, inputs, targets);
      return;
    }
    try (Scope _ = Scope.open("update")) {
      Tensor[] values = apply(op, inputs);
      for (int i = 0; i < targets.length; i++) {
        values[i] = sharesMemory(values[i], targets) ? apply(new Copy(), values[i])[0] : values[i];
      }
      for (int i = 0; i < targets.length; i++) {
        run(device.backend(), new Copy(), new Tensor[] {values[i]}, new Tensor[] {targets[i]});
      }
    }
  }

  private static boolean sharesMemory(Tensor tensor, Tensor... others) {
    return Stream.of(others).anyMatch(other -> other.storage() == tensor.storage());
  }

  private static boolean isView(Op op) {
    return switch (op) {
      case Expand _, Permute _, Reshape _, Slice _ -> true;
      default -> false;
    };
  }

  /**
   * Whether a backend would write elements that it has yet to read: only element by element is in
   * place safe.
   */
  private static boolean overwritesInputs(Op op, Tensor[] targets, Tensor[] inputs) {
    boolean elementWise = isElementWise(op);
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

  /** Whether an output may be the very memory of an input. */
  static boolean isElementWise(Op op) {
    return switch (op) {
      case AdamW _,
          Affine _,
          Binary _,
          Clamp _,
          Copy _,
          GeluBackward _,
          Lerp _,
          Power _,
          RoundTo _,
          Select _,
          SiluBackward _,
          Unary _ ->
          true;
      default -> false;
    };
  }

  private static boolean overlap(Tensor a, Tensor b) {
    return a.storage() == b.storage()
        && a.size() > 0
        && b.size() > 0
        && a.offset() <= last(b)
        && b.offset() <= last(a);
  }

  private static long last(Tensor t) {
    long last = t.offset();
    for (int i = 0; i < t.shape().rank(); i++) {
      last += (t.dim(i) - 1L) * t.stride(i);
    }
    return last;
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
        inputs[i] = apply(new Copy(), given[i])[0];
      }
    }
    try (Scope _ = copies) {
      for (Tensor t : inputs) {
        t.checkLive();
      }
      compute(backend, op, inputs, outputs);
    }
  }

  private Tensor view(Op op, Tensor[] inputs, List<TensorType> types) {
    return switch (op) {
      case Permute p -> {
        int[] axes = p.axes();
        int[] strides = new int[axes.length];
        for (int i = 0; i < axes.length; i++) {
          strides[i] = inputs[0].stride(axes[i]);
        }
        yield inputs[0].view(types.get(0).shape(), strides, 0);
      }
      case Expand e -> {
        int[] strides = new int[e.shape().rank()];
        int lead = strides.length - inputs[0].shape().rank();
        for (int i = lead; i < strides.length; i++) {
          strides[i] = inputs[0].dim(i - lead) == 1 ? 0 : inputs[0].stride(i - lead);
        }
        yield inputs[0].view(e.shape(), strides, 0);
      }
      case Slice s ->
          inputs[0].view(
              types.get(0).shape(),
              inputs[0].strides(),
              (long) s.from() * inputs[0].stride(s.axis()));
      case Reshape r -> {
        Tensor x = inputs[0];
        int[] strides =
            x.isContiguous() ? r.shape().contiguousStrides() : Strides.reshape(x, r.shape());
        if (strides == null) {
          x = apply(new Copy(), x)[0];
          strides = r.shape().contiguousStrides();
        }
        yield x.view(r.shape(), strides, 0);
      }
      default -> null;
    };
  }

  private static Device device(Op op, Tensor[] inputs) {
    return switch (op) {
      case Fill f -> f.device();
      case RandomNormal r -> r.device();
      default -> inputs[0].device();
    };
  }

  /** The types of the outputs, after all checks of the inputs. */
  private static List<TensorType> infer(Op op, Tensor[] inputs) {
    for (Tensor t : inputs) {
      if (t.device() != inputs[0].device()) {
        throw new ReverieException(
            op.name()
                + ": expected all inputs on one device, got "
                + inputs[0].device()
                + " and "
                + t.device());
      }
    }
    return op.infer(types(inputs));
  }

  private static List<TensorType> types(Tensor[] inputs) {
    return Stream.of(inputs).map(Tensor::type).toList();
  }

  private static String describe(List<TensorType> types) {
    return types.toString();
  }
}
