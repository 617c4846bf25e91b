// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu;

import reverie.tensor.Tensor;
import reverie.tensor.op.AdamW;
import reverie.tensor.op.Attention;
import reverie.tensor.op.AttentionBackward;
import reverie.tensor.op.Conv2d;
import reverie.tensor.op.Conv2dInputGradient;
import reverie.tensor.op.Conv2dWeightGradient;
import reverie.tensor.op.Lerp;
import reverie.tensor.op.Linear;
import reverie.tensor.op.MatMul;
import reverie.tensor.op.Op;

/**
 * The operations that have a kernel in C. Each family is a class that cuts the work into chunks, by
 * the sizes of the data alone, and calls C for every chunk.
 */
final class NativeKernels {
  private final NativePatches patches;
  private final NativeProducts products;
  private final NativeAttention attention;
  private final NativeUpdates updates;
  private final NativeWinograd winograd;

  NativeKernels(NativeLibrary library) {
    products = new NativeProducts(library);
    attention = new NativeAttention(library);
    patches = new NativePatches(library, products);
    updates = new NativeUpdates(library);
    winograd = new NativeWinograd(library);
  }

  /** Carries out an operation; false if it is left to the Vector API. */
  boolean run(Parallel parallel, Op op, Tensor[] inputs, Tensor[] outputs) {
    switch (op) {
      case AdamW adamW -> updates.adamW(parallel, adamW, inputs, outputs);
      case Attention a -> attention.forward(parallel, a, inputs, outputs);
      case AttentionBackward a -> attention.backward(parallel, a, inputs, outputs);
      case Conv2d conv when winograd.forward(parallel, conv, inputs, outputs[0]) -> {}
      case Conv2d conv -> patches.conv2d(parallel, conv, inputs, outputs[0]);
      case Conv2dInputGradient g when winograd.inputGradient(parallel, g, inputs, outputs[0]) -> {}
      case Conv2dInputGradient g ->
          patches.inputGradient(parallel, g, inputs[0], inputs[1], outputs[0]);
      case Conv2dWeightGradient g
          when winograd.weightGradient(parallel, g, inputs, outputs[0]) -> {}
      case Conv2dWeightGradient g ->
          patches.weightGradient(parallel, g, inputs[0], inputs[1], outputs[0]);
      case Lerp _ -> updates.lerp(parallel, inputs, outputs[0]);
      case Linear _ -> products.linear(parallel, inputs, outputs[0]);
      case MatMul _ -> products.matmul(parallel, inputs[0], inputs[1], outputs[0]);
      default -> {
        return false;
      }
    }
    return true;
  }
}
