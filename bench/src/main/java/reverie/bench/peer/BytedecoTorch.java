// SPDX-License-Identifier: Apache-2.0
package reverie.bench.peer;

import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.IValueVector;
import org.bytedeco.pytorch.JitModule;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

/** LibTorch as bytedeco packages it. */
final class BytedecoTorch implements LibTorch {
  private final JitModule module;

  private record Tensors(IValue value) implements Values {
    @Override
    public void close() {
      value.close();
    }
  }

  BytedecoTorch(Path archive, int threads) {
    torch.set_num_threads(threads);
    // Eager PyTorch runs one operation after the other; so does the interpreter without its passes.
    torch.setGraphExecutorOptimize(false);
    module = torch.load(archive.toString());
  }

  @Override
  public Values values(List<HostTensor> tensors) {
    IValue list = call("empty");
    for (HostTensor tensor : tensors) {
      try (PointerScope _ = new PointerScope()) {
        FloatPointer data = new FloatPointer(tensor.values());
        Tensor copy = torch.from_blob(data, tensor.shape()).clone();
        call("append", list, new IValue(copy));
      }
    }
    return new Tensors(list);
  }

  @Override
  public Values run(String method, Values... lists) {
    IValue[] arguments = new IValue[lists.length];
    for (int i = 0; i < lists.length; i++) {
      arguments[i] = ((Tensors) lists[i]).value;
    }
    return new Tensors(call(method, arguments));
  }

  private IValue call(String method, IValue... arguments) {
    try (PointerScope _ = new PointerScope()) {
      IValueVector inputs = new IValueVector(arguments);
      // Outlives the scope, in which everything else is freed.
      return module.get_method(method).apply(inputs).retainReference();
    }
  }

  @Override
  public void read(Values values, Consumer<float[]> each) {
    try (Values plain = run("plain", values);
        PointerScope _ = new PointerScope()) {
      TensorVector tensors = ((Tensors) plain).value.toTensorVector();
      for (long i = 0; i < tensors.size(); i++) {
        Tensor tensor = tensors.get(i);
        float[] numbers = new float[Math.toIntExact(tensor.numel())];
        tensor.data_ptr_float().get(numbers);
        each.accept(numbers);
      }
    }
  }

  @Override
  public void close() {
    module.close();
  }
}
