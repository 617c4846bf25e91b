// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu;

import java.lang.foreign.MemorySegment;
import java.util.Optional;
import java.util.stream.Stream;
import reverie.tensor.Tensor;
import reverie.tensor.cpu.memory.Memory;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.CustomOp;
import reverie.tensor.spi.HostKernel;

/** Kernels that users bring with operations of their own. */
final class CustomKernels {
  private CustomKernels() {}

  static boolean supports(CustomOp op, Tensor... inputs) {
    return kernel(op, inputs).isPresent();
  }

  static void run(Parallel parallel, CustomOp op, Tensor[] inputs, Tensor... outputs) {
    HostKernel kernel = kernel(op, inputs).orElseThrow();
    MemorySegment[] in = segments(inputs);
    MemorySegment[] out = segments(outputs);
    parallel.parallelFor(kernel.tasks(), task -> kernel.run(task, in, out));
  }

  private static Optional<HostKernel> kernel(CustomOp op, Tensor... inputs) {
    return op.kernel(Stream.of(inputs).map(Tensor::type).toList());
  }

  private static MemorySegment[] segments(Tensor... tensors) {
    return Stream.of(tensors)
        .map(t -> MemorySegment.ofAddress(Memory.address(t)).reinterpret(t.type().bytes()))
        .toArray(MemorySegment[]::new);
  }
}
