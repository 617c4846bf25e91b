// SPDX-License-Identifier: Apache-2.0
package reverie.bench.peer;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.pytorch.engine.PtNDManager;
import ai.djl.pytorch.engine.PtSymbolBlock;
import ai.djl.pytorch.jni.IValueUtils;
import ai.djl.pytorch.jni.JniUtils;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;

/** The official LibTorch as DJL packages it. */
final class DjlTorch implements LibTorch {
  private final PtNDManager manager;
  private final PtSymbolBlock module;

  private record Arrays(NDList list) implements Values {
    @Override
    public void close() {
      list.close();
    }
  }

  DjlTorch(Path archive, int threads) {
    manager = (PtNDManager) NDManager.newBaseManager(Device.cpu(), "PyTorch");
    JniUtils.setNumThreads(threads);
    JniUtils.setGraphExecutorOptimize(false);
    JniUtils.setGradMode(true);
    module = JniUtils.loadModule(manager, archive, false, new String[0], new String[0], true);
  }

  @Override
  public Values values(List<HostTensor> tensors) {
    NDList list = new NDList();
    for (HostTensor tensor : tensors) {
      list.add(manager.create(tensor.values(), new Shape(tensor.shape())));
    }
    return new Arrays(list);
  }

  @Override
  public Values run(String method, Values... lists) {
    // DJL knows by the names of arrays which method is meant and which of them form a list.
    NDList all = new NDList();
    try (NDArray marker = manager.create(0f)) {
      marker.setName("module_method:" + method);
      all.add(marker);
      for (int i = 0; i < lists.length; i++) {
        for (NDArray array : ((Arrays) lists[i]).list) {
          array.setName("list" + i + "[]");
          all.add(array);
        }
      }
      return new Arrays(IValueUtils.forward(module, all, true));
    }
  }

  @Override
  public void read(Values values, Consumer<float[]> each) {
    try (Values plain = run("plain", values)) {
      for (NDArray array : ((Arrays) plain).list) {
        each.accept(array.toFloatArray());
      }
    }
  }

  @Override
  public void close() {
    module.close();
    manager.close();
  }
}
