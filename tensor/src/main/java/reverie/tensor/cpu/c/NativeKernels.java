// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.c;

import reverie.tensor.Tensor;
import reverie.tensor.cpu.simd.Images;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.AdamW;
import reverie.tensor.op.Attention;
import reverie.tensor.op.AttentionBackward;
import reverie.tensor.op.Binary;
import reverie.tensor.op.Conv2d;
import reverie.tensor.op.Conv2dInputGradient;
import reverie.tensor.op.Conv2dWeightGradient;
import reverie.tensor.op.FeedForward;
import reverie.tensor.op.FeedForwardBackward;
import reverie.tensor.op.GaussianLogProb;
import reverie.tensor.op.Geglu;
import reverie.tensor.op.GegluBackward;
import reverie.tensor.op.GroupNorm;
import reverie.tensor.op.GroupNormBackward;
import reverie.tensor.op.LayerNorm;
import reverie.tensor.op.LayerNormBackward;
import reverie.tensor.op.Lerp;
import reverie.tensor.op.Linear;
import reverie.tensor.op.MatMul;
import reverie.tensor.op.Op;
import reverie.tensor.op.Reduce;
import reverie.tensor.op.SiluBackward;
import reverie.tensor.op.Unary;

/**
 * The operations that have a kernel in C. Each family is a class that cuts the work into chunks, by
 * the sizes of the data alone, and calls C for every chunk.
 */
public final class NativeKernels {
  private final NativePatches patches;
  private final NativeProducts products;
  private final NativeAttention attention;
  private final NativeElements elements;
  private final NativeFeedForward feedForward;
  private final NativeNorms norms;
  private final NativeUpdates updates;
  private final NativeWinograd winograd;

  /** Null without a tile unit, or where exactness is preferred. */
  private final NativeTileConvolution tiles;

  /**
   * Takes its kernels from a library.
   *
   * @param exact whether to prefer accuracy to speed where kernels can choose
   */
  public NativeKernels(NativeLibrary library, boolean exact) {
    products = new NativeProducts(library, exact);
    attention = new NativeAttention(library);
    patches = new NativePatches(library, products);
    elements = new NativeElements(library);
    feedForward = new NativeFeedForward(products, elements);
    norms = new NativeNorms(library);
    updates = new NativeUpdates(library);
    winograd = new NativeWinograd(library, products, exact);
    tiles = library.has("amx_conv") && !exact ? new NativeTileConvolution(library, products) : null;
  }

  /** Carries out an operation; false if it is left to the Vector API. */
  public boolean run(Parallel parallel, Op op, Tensor[] inputs, Tensor[] outputs) {
    switch (op) {
      case AdamW adamW -> updates.adamW(parallel, adamW, inputs, outputs);
      case Attention a -> attention.forward(parallel, a, inputs, outputs);
      case AttentionBackward a -> attention.backward(parallel, a, inputs, outputs);
      case Conv2d conv when tiles != null && tiles.forward(parallel, conv, inputs, outputs[0]) -> {}
      case Conv2d conv when winograd.forward(parallel, conv, inputs, outputs[0]) -> {}
      case Conv2d conv -> patches.conv2d(parallel, conv, inputs, outputs[0]);
      case Conv2dInputGradient g
          when tiles != null && tiles.inputGradient(parallel, g, inputs, outputs[0]) -> {}
      case Conv2dInputGradient g when winograd.inputGradient(parallel, g, inputs, outputs[0]) -> {}
      case Conv2dInputGradient g ->
          patches.inputGradient(parallel, g, inputs[0], inputs[1], outputs[0]);
      case Conv2dWeightGradient g
          when tiles != null && tiles.weightGradient(parallel, g, inputs, outputs[0]) -> {}
      case Conv2dWeightGradient g
          when winograd.weightGradient(parallel, g, inputs, outputs[0]) -> {}
      case Conv2dWeightGradient g ->
          patches.weightGradient(parallel, g, inputs[0], inputs[1], outputs[0]);
      case FeedForward _ -> feedForward.forward(parallel, inputs, outputs);
      case FeedForwardBackward _ -> feedForward.backward(parallel, inputs, outputs);
      case Lerp _ -> updates.lerp(parallel, inputs, outputs[0]);
      case Linear _ -> products.linear(parallel, inputs, outputs[0]);
      case MatMul product -> products.matmul(parallel, product, inputs[0], inputs[1], outputs[0]);
      case Binary binary -> {
        return elements.binary(parallel, binary, inputs, outputs[0]);
      }
      case GaussianLogProb _ -> {
        elements.squareDistances(parallel, inputs[0], inputs[1], outputs[0]);
        Images.gaussianLogProb(parallel, inputs, outputs[0]);
      }
      case Geglu _ -> elements.geglu(parallel, inputs[0], outputs[0]);
      case GegluBackward _ -> elements.gegluBackward(parallel, inputs, outputs[0]);
      case GroupNorm norm -> norms.groupNorm(parallel, norm, inputs, outputs);
      case GroupNormBackward norm -> norms.groupNormBackward(parallel, norm, inputs, outputs);
      case LayerNorm norm -> norms.layerNorm(parallel, norm, inputs, outputs);
      case LayerNormBackward _ -> norms.layerNormBackward(parallel, inputs, outputs);
      case Reduce reduce -> {
        return elements.reduce(parallel, reduce, inputs[0], outputs[0]);
      }
      case SiluBackward _ -> {
        return elements.siluBackward(parallel, inputs, outputs[0]);
      }
      case Unary unary -> {
        return elements.unary(parallel, unary, inputs[0], outputs[0]);
      }
      default -> {
        return false;
      }
    }
    return true;
  }
}
