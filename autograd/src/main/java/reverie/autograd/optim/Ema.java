// SPDX-License-Identifier: Apache-2.0
package reverie.autograd.optim;

import java.util.List;
import reverie.autograd.nn.Parameter;
import reverie.autograd.nn.Parameters;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.op.Lerp;

/**
 * An exponential moving average of a model's parameters. With warm-up the decay of update t (from
 * 0) is {@code min(decay, (1+t)/(10+t))}, so that the first values are soon forgotten.
 */
public final class Ema implements AutoCloseable {
  private final Parameters source;
  private final Parameters average;
  private final double decay;
  private final boolean warmUp;
  private final Scope scope = Scope.detached("ema");
  private final Tensor weight;
  private long updates;

  /** Starts at the present values. */
  public Ema(Parameters source, double decay, boolean warmUp) {
    if (!(decay >= 0 && decay < 1)) {
      throw new ReverieException("ema: expected a decay from 0 to below 1, got " + decay);
    }
    this.source = source;
    this.average = source.frozenCopy();
    this.decay = decay;
    this.warmUp = warmUp;
    try (Scope _ = Scope.open("ema")) {
      weight = scope.adopt(source.device().zeros(1));
    }
  }

  /** Moves the average of what is trained towards the present values. */
  public void update() {
    advance();
    apply();
  }

  /**
   * Begins an update: sets the weight that differs from update to update. With {@link #apply} it is
   * {@link #update} in two halves, of which the other can be captured.
   */
  public void advance() {
    double d = warmUp ? Math.min(decay, (1.0 + updates) / (10.0 + updates)) : decay;
    updates++;
    weight.assign(new double[] {1 - d});
  }

  /** Moves the average by the update that was begun. */
  public void apply() {
    List<Parameter> now = source.all();
    List<Parameter> averaged = average.all();
    for (int i = 0; i < now.size(); i++) {
      if (now.get(i).trainable()) {
        Tensor a = averaged.get(i).value();
        Ops.update(new Lerp(), new Tensor[] {a}, a, now.get(i).value(), weight);
      }
    }
  }

  /** The averages, on which a model can be built; they go on changing with {@link #update()}. */
  public Parameters parameters() {
    return average;
  }

  /** How many updates have been made: with the averages, the whole state. */
  public long updates() {
    return updates;
  }

  /** Goes on from saved averages. */
  public void restore(Parameters saved, long updatesMade) {
    average.copyFrom(saved);
    updates = updatesMade;
  }

  /** Frees the averages. */
  @Override
  public void close() {
    average.close();
    scope.close();
  }
}
