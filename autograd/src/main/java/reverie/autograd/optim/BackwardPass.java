// SPDX-License-Identifier: Apache-2.0
package reverie.autograd.optim;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import reverie.autograd.Tape;
import reverie.autograd.nn.Parameter;
import reverie.tensor.Captured;
import reverie.tensor.Device;
import reverie.tensor.Sliced;
import reverie.tensor.Tensor;

/**
 * Differentiates a loss that is a sum over the samples of a batch, {@linkplain Sliced a few samples
 * at a time}, and adds the gradient to what an accumulator holds already.
 *
 * <pre>{@code
 * BackwardPass pass = new BackwardPass(device, gradients, 1, in -> {
 *   Tensor each = model.forward(in[0]).sub(in[1]).square().mean(1); // [n]
 *   return new Tensor[] {each.sum(), each};
 * });
 * double[] losses = pass.add(x, y).getLast().toDoubles();
 * }</pre>
 */
public final class BackwardPass implements AutoCloseable {
  private final GradientAccumulator gradients;
  private final int outputs;
  private final Sliced pass;

  /** What is differentiated. */
  @FunctionalInterface
  public interface Loss {
    /** The sum of the losses of these samples, of one element, then outputs with samples first. */
    Tensor[] of(Tensor... inputs);
  }

  /**
   * A pass over the parameters of an accumulator.
   *
   * @param outputs how many tensors the loss gives besides its sum
   */
  public BackwardPass(Device device, GradientAccumulator gradients, int outputs, Loss loss) {
    this.gradients = gradients;
    this.outputs = outputs;
    List<Tensor> roots = gradients.parameters().stream().map(Parameter::value).toList();
    pass = new Sliced(device, outputs, in -> differentiate(roots, loss, in));
  }

  private static Tensor[] differentiate(List<Tensor> roots, Loss loss, Tensor... inputs) {
    List<Tensor> out = new ArrayList<>();
    Tape.Result result =
        Tape.run(
            roots,
            () -> {
              List<Tensor> seen = List.of(loss.of(inputs));
              out.addAll(seen.subList(1, seen.size()));
              return seen.getFirst();
            });
    out.add(result.loss());
    roots.forEach(root -> out.add(result.gradient(root)));
    return out.toArray(Tensor[]::new);
  }

  /**
   * Adds the gradient for a batch; inputs as in {@link Sliced#run}.
   *
   * @return the loss, then the other outputs, to be read before the next pass
   */
  public List<Tensor> add(Tensor... inputs) {
    List<Tensor> all = pass.run(inputs);
    gradients.add(all.subList(outputs + 1, all.size()));
    List<Tensor> out = new ArrayList<>();
    out.add(all.get(outputs));
    out.addAll(all.subList(0, outputs));
    return out;
  }

  /** The captured pass over a slice, if there is one. */
  public Optional<Captured> captured() {
    return pass.captured();
  }

  /** Why the pass cannot be captured; empty if it can, or was not made yet. */
  public Optional<String> obstacle() {
    return pass.obstacle();
  }

  @Override
  public void close() {
    pass.close();
  }
}
