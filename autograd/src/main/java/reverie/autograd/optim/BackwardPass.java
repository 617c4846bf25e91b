// SPDX-License-Identifier: Apache-2.0
package reverie.autograd.optim;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import reverie.autograd.Tape;
import reverie.tensor.Device;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.graph.CapturedGraph;
import reverie.tensor.graph.MicroBatched;

/**
 * Differentiates a loss that is a sum over the samples of a batch, {@linkplain MicroBatched a few
 * samples at a time}, and adds the gradient to what an accumulator holds already.
 *
 * <pre>{@code
 * BackwardPass pass = new BackwardPass(device, gradients, in -> {
 *   Tensor each = model.forward(in[0]).sub(in[1]).square().mean(1); // [n]
 *   return new Tensor[] {each.sum(), each};
 * });
 * double[] losses = pass.add(x, y).getLast().toDoubles();
 * }</pre>
 */
public final class BackwardPass implements AutoCloseable {
  private final Scope scope = Scope.detached("loss");
  private final Tensor loss;
  private final MicroBatched pass;

  /** What is differentiated. */
  @FunctionalInterface
  public interface Loss {
    /** The sum of the losses of these samples, of one element, then outputs with samples first. */
    Tensor[] of(Tensor... inputs);
  }

  /** A pass over the parameters of an accumulator. */
  public BackwardPass(Device device, GradientAccumulator gradients, Loss loss) {
    try (Scope _ = Scope.open("loss")) {
      this.loss = scope.adopt(device.zeros());
    }
    List<Tensor> roots = new ArrayList<>();
    List<Tensor> totals = new ArrayList<>();
    totals.add(this.loss);
    gradients
        .parts()
        .forEach((parameter, sum) -> {
          roots.add(parameter.value());
          totals.add(sum);
        });
    pass = new MicroBatched(device, totals, in -> differentiate(roots, loss, in));
  }

  private static Tensor[] differentiate(List<Tensor> roots, Loss loss, Tensor... inputs) {
    List<Tensor> seen = new ArrayList<>();
    Tape.Result result =
        Tape.run(
            roots,
            () -> {
              Collections.addAll(seen, loss.of(inputs));
              return seen.getFirst();
            });
    Stream<Tensor> derived = roots.stream().map(result::gradient);
    return Stream.of(Stream.of(result.loss()), derived, seen.stream().skip(1))
        .flatMap(tensors -> tensors)
        .toArray(Tensor[]::new);
  }

  /**
   * Adds the gradient for a batch; inputs as in {@link MicroBatched#run}.
   *
   * @return the loss, then the other outputs, to be read before the next pass
   */
  public List<Tensor> add(Tensor... inputs) {
    loss.assign(new double[] {0});
    List<Tensor> out = new ArrayList<>();
    out.add(loss);
    out.addAll(pass.run(inputs));
    return out;
  }

  /** The captured pass over a slice, if there is one. */
  public Optional<CapturedGraph> captured() {
    return pass.captured();
  }

  /** Why the pass cannot be captured; empty if it can, or was not made yet. */
  public Optional<String> captureFailure() {
    return pass.captureFailure();
  }

  @Override
  public void close() {
    pass.close();
    scope.close();
  }
}
