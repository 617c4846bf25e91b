// SPDX-License-Identifier: Apache-2.0
package reverie.examples;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;
import reverie.autograd.CustomGradient;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;
import reverie.tensor.spi.HostKernel;

/**
 * An operation of one's own: Mish, {@code x · tanh(ln(1 + eˣ))} (Misra 2019), with a kernel for the
 * processor and a gradient rule. Its definition alone would do.
 */
public record Mish() implements CustomGradient {
  /** Applies the operation to a floating-point tensor of any shape. */
  public static Tensor mish(Tensor x) {
    return Ops.apply(new Mish(), x);
  }

  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    if (inputs.size() != 1 || !inputs.getFirst().dtype().isFloating()) {
      throw new ReverieException("mish: expected one floating-point input, got " + inputs);
    }
    return inputs;
  }

  /**
   * tanh(ln(1 + eˣ)) = (w − 1)/(w + 1) with w = (1 + eˣ)²; it is 1 in float32 long before x is 20.
   */
  private static Tensor gate(Tensor x) {
    Tensor w = x.clamp(-100, 20).exp().add(1).square();
    return w.sub(1).div(w.add(1));
  }

  @Override
  public Tensor[] decompose(Tensor... in) {
    return new Tensor[] {in[0].mul(gate(in[0]))};
  }

  @Override
  public Optional<HostKernel> kernel(List<TensorType> inputs) {
    return Optional.of(Mish::run);
  }

  private static void run(int task, MemorySegment[] in, MemorySegment[] out) {
    for (long i = 0; i < out[0].byteSize() / 4; i++) {
      float x = in[0].getAtIndex(JAVA_FLOAT, i);
      double e = 1 + Math.exp(Math.min(x, 20));
      out[0].setAtIndex(JAVA_FLOAT, i, (float) (x * (e * e - 1) / (e * e + 1)));
    }
  }

  /** y' = t + x(1 − t²)σ(x), t the gate. */
  @Override
  public Tensor[] pullback(Tensor[] in, Tensor[] out, Tensor[] gradients) {
    Tensor x = in[0];
    Tensor t = gate(x);
    Tensor slope = t.add(x.mul(x.sigmoid()).mul(t.square().neg().add(1)));
    return new Tensor[] {gradients[0].mul(slope)};
  }
}
