// SPDX-License-Identifier: Apache-2.0
package reverie.autograd.optim;

import java.lang.invoke.MethodHandles;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Stream;
import reverie.autograd.Tape;
import reverie.autograd.nn.Parameter;
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
 * record Batch(Tensor x, Tensor y) {}
 * record Each(Tensor losses) {}
 *
 * var pass = new BackwardPass<>(MethodHandles.lookup(), device, gradients, (Batch in) -> {
 *   Tensor losses = model.forward(in.x()).sub(in.y()).square().mean(1); // [n]
 *   return new BackwardPass.Loss<>(losses.sum(), new Each(losses));
 * });
 * double[] losses = pass.add(new Batch(x, y)).samples().losses().toDoubles();
 * }</pre>
 */
public final class BackwardPass<I extends Record, O extends Record> implements AutoCloseable {
  private final Scope scope = Scope.detached("loss");
  private final Tensor sum;
  private final MicroBatched<I, O> pass;

  /**
   * What is differentiated, and what came with it.
   *
   * @param sum of the losses of the samples, of one element
   * @param samples other tensors, with the samples as their first axis
   */
  public record Loss<O extends Record>(Tensor sum, O samples) {}

  /** The samples of a loss that gives nothing else. */
  public record Nothing() {}

  /**
   * A pass over the parameters of an accumulator.
   *
   * @param lookup {@code MethodHandles.lookup()} of a class that sees both records
   */
  public BackwardPass(
      MethodHandles.Lookup lookup,
      Device device,
      GradientAccumulator gradients,
      Function<I, Loss<O>> loss) {
    try (Scope _ = Scope.open("loss")) {
      sum = scope.adopt(device.zeros());
    }
    List<Tensor> roots = gradients.parts().keySet().stream().map(Parameter::value).toList();
    List<Tensor> totals =
        Stream.concat(Stream.of(sum), gradients.parts().values().stream()).toList();
    pass =
        new MicroBatched<>(
            lookup,
            device,
            new Totals(totals, sum, gradients),
            in -> differentiate(roots, loss, in));
  }

  /** The loss of one pass, and gradients of all. */
  private record Totals(List<Tensor> tensors, Tensor loss, GradientAccumulator gradients)
      implements MicroBatched.Totals {
    @Override
    public void beforeAdding() {
      loss.assign(new double[] {0});
      gradients.complete();
    }

    @Override
    public void beforeWriting() {
      gradients.makeRoom();
    }
  }

  /** A pass for a loss that gives only the sum. */
  public static <I extends Record> BackwardPass<I, Nothing> of(
      MethodHandles.Lookup lookup,
      Device device,
      GradientAccumulator gradients,
      Function<I, Tensor> loss) {
    return new BackwardPass<>(
        lookup, device, gradients, in -> new Loss<>(loss.apply(in), new Nothing()));
  }

  private static <I extends Record, O extends Record> MicroBatched.Part<O> differentiate(
      List<Tensor> roots, Function<I, Loss<O>> loss, I inputs) {
    List<O> samples = new ArrayList<>();
    Tape.Result result =
        Tape.run(
            roots,
            () -> {
              Loss<O> value = loss.apply(inputs);
              samples.add(value.samples);
              return value.sum;
            });
    List<Tensor> sums = new ArrayList<>();
    sums.add(result.loss());
    roots.forEach(root -> sums.add(result.gradient(root)));
    return new MicroBatched.Part<>(sums, samples.getFirst());
  }

  /**
   * Adds the gradient for a batch; inputs as in {@link MicroBatched#run}.
   *
   * @return the loss of the whole batch, to be read before the next pass
   */
  public Loss<O> add(I inputs) {
    return new Loss<>(sum, pass.run(inputs));
  }

  /**
   * Gives the memory of a large pass back until the next one; see {@link CapturedGraph#discard}.
   */
  public void discard() {
    pass.discard();
  }

  /** The captured pass over a micro-batch, if there is one. */
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
