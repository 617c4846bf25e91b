// SPDX-License-Identifier: Apache-2.0
package reverie.tensor;

import java.util.List;
import java.util.stream.Stream;
import reverie.tensor.op.Copy;
import reverie.tensor.op.Expand;
import reverie.tensor.op.Fill;
import reverie.tensor.op.Fused;
import reverie.tensor.op.Op;
import reverie.tensor.op.Permute;
import reverie.tensor.op.RandomNormal;
import reverie.tensor.op.Reshape;
import reverie.tensor.op.Slice;
import reverie.tensor.spi.Backend;
import reverie.tensor.spi.Buffer;

/**
 * Computes at once: checks types, makes views without work, hands everything else to the device's backend, and
 * decomposes fused operations that the backend does not know.
 */
final class Direct implements Interpreter {
  static final Direct INSTANCE = new Direct();

  private Direct() {}

  @Override
  public Tensor[] apply(Op op, Tensor... inputs) {
    List<TensorType> types = op.infer(types(inputs));
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
          op.name() + ": the " + device + " device does not support it for " + describe(types(inputs)));
    }
    Tensor[] outputs = new Tensor[types.size()];
    for (int i = 0; i < outputs.length; i++) {
      outputs[i] = device.allocate(types.get(i));
    }
    run(backend, op, inputs, outputs);
    return outputs;
  }

  @Override
  public void update(Op op, Tensor[] targets, Tensor... inputs) {
    List<TensorType> types = op.infer(types(inputs));
    for (int i = 0; i < targets.length; i++) {
      if (!targets[i].type().equals(types.get(i)) || !targets[i].isContiguous()) {
        throw new ReverieException(
            op.name() + ": expected a contiguous target " + types.get(i) + ", got " + targets[i].type());
      }
    }
    Backend backend = device(op, inputs).backend();
    if (backend.supports(op, inputs)) {
      run(backend, op, inputs, targets);
      return;
    }
    try (Scope _ = Scope.open("decomposed update")) {
      Tensor[] values = apply(op, inputs);
      for (int i = 0; i < targets.length; i++) {
        run(backend, new Copy(), new Tensor[] {values[i]}, new Tensor[] {targets[i]});
      }
    }
  }

  private static void run(Backend backend, Op op, Tensor[] given, Tensor[] outputs) {
    Tensor[] inputs = given;
    Scope copies = null;
    for (int i = 0; i < given.length; i++) {
      if (!given[i].isContiguous() && !backend.acceptsStrides(op, i)) {
        if (copies == null) {
          copies = Scope.open("contiguous copies");
          inputs = given.clone();
        }
        inputs[i] = INSTANCE.apply(new Copy(), given[i])[0];
      }
    }
    try (Scope _ = copies) {
      for (Tensor t : inputs) {
        t.buffer();
      }
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
  }

  private static Tensor view(Op op, Tensor[] inputs, List<TensorType> types) {
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
      case Slice s -> inputs[0].view(
          types.get(0).shape(), inputs[0].strides(), (long) s.from() * inputs[0].stride(s.axis()));
      case Reshape r -> {
        Tensor x = inputs[0];
        int[] strides = x.isContiguous() ? r.shape().contiguousStrides() : Strides.reshape(x, r.shape());
        if (strides == null) {
          x = INSTANCE.apply(new Copy(), x)[0];
          strides = r.shape().contiguousStrides();
        }
        yield x.view(r.shape(), strides, 0);
      }
      default -> null;
    };
  }

  private static Device device(Op op, Tensor[] inputs) {
    Device device = switch (op) {
      case Fill f -> f.device();
      case RandomNormal r -> r.device();
      default -> inputs[0].device();
    };
    for (Tensor t : inputs) {
      if (t.device() != device) {
        throw new ReverieException(
            op.name() + ": expected all inputs on one device, got " + device + " and " + t.device());
      }
    }
    return device;
  }

  private static List<TensorType> types(Tensor[] inputs) {
    return Stream.of(inputs).map(Tensor::type).toList();
  }

  private static String describe(List<TensorType> types) {
    return types.toString();
  }
}
