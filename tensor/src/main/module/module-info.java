// SPDX-License-Identifier: Apache-2.0

/**
 * Tensors, operations and backends.
 *
 * <p>The Vector API is needed only by the kernels written in it: start with {@code --add-modules
 * jdk.incubator.vector} where there are none in C.
 */
@SuppressWarnings("module")
module reverie.tensor {
  requires static jdk.incubator.vector;
  requires commons.math3;
  requires jcublas;
  requires jcuda;
  requires jcudnn;
  requires transitive tools.jackson.core;

  exports reverie.tensor;
  exports reverie.tensor.catalog;
  exports reverie.tensor.debug;
  exports reverie.tensor.graph;
  exports reverie.tensor.io;
  exports reverie.tensor.op;
  exports reverie.tensor.spi;
  exports reverie.tensor.cpu to
      reverie.app;
  exports reverie.tensor.cuda to
      reverie.app;

  uses reverie.tensor.spi.BackendProvider;

  provides reverie.tensor.spi.BackendProvider with
      reverie.tensor.cpu.CpuProvider,
      reverie.tensor.cuda.CudaProvider,
      reverie.tensor.reference.ReferenceProvider;
}
