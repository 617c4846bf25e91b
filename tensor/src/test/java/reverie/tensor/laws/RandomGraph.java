// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.laws;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.Rng;
import reverie.tensor.Tensor;

/**
 * A random composition of operations, views included: the same for the same seed on every device.
 * Values stay within a small range, so that rounding errors do not grow.
 */
final class RandomGraph {
  private static final int STEPS = 16;
  private static final int[] SIZES = {1, 2, 3, 5, 8, 17};

  private final Rng rng;
  private final Map<Long, Tensor> leaves = new HashMap<>();
  private long drawn;

  RandomGraph(long seed) {
    rng = Rng.of(seed);
  }

  /**
   * All tensors of the graph in the order in which they were made; a second run on the same device
   * uses the same leaves.
   */
  List<Tensor> run(Device device) {
    drawn = 0;
    List<Tensor> made = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      int[] dims = IntStream.range(0, 1 + below(4)).map(_ -> SIZES[below(SIZES.length)]).toArray();
      made.add(normal(device, dims));
    }
    for (int step = 0; step < STEPS; step++) {
      Tensor x = made.get(below(made.size()));
      made.add(next(device, x));
    }
    return made;
  }

  private Tensor next(Device device, Tensor x) {
    int rank = x.shape().rank();
    return switch (below(20)) {
      case 0 -> x.tanh();
      case 1 -> x.sigmoid().sub(0.5);
      case 2 -> x.silu();
      case 3 -> x.gelu();
      case 4 -> x.sin();
      case 5 -> x.abs().add(0.5).log();
      case 6 -> x.mul(1.5).clamp(-1, 1);
      case 7 -> x.add(other(device, x)).mul(0.5);
      case 8 -> x.sub(other(device, x)).tanh();
      case 9 -> x.mul(other(device, x)).tanh();
      case 10 -> x.maximum(other(device, x));
      case 11 -> x.permute(permutation(rank));
      case 12 -> rank == 0 ? x.reshape(1) : half(x, below(rank));
      case 13 -> rank == 0 ? x.neg() : Ops.concat(below(rank), x, x.neg());
      case 14 -> rank == 0 ? x.square() : x.mean(below(rank));
      case 15 -> rank == 0 ? x.relu() : x.softmax();
      case 16 -> rank == 0 ? x.cos() : x.meanKeep(below(rank)).expand(x.shape().dims());
      case 17 -> {
        int columns = rank == 0 ? 1 : x.dim(-1);
        Tensor rows = x.reshape(Math.toIntExact(x.size() / columns), columns);
        yield rows.transpose().matmul(rows).div(rows.dim(0)).tanh();
      }
      case 18 -> {
        Tensor flat = rank == 0 ? x.reshape(1) : x;
        int in = flat.dim(-1);
        int out = SIZES[below(SIZES.length)];
        yield Ops.linear(flat, normal(device, out, in).div(Math.sqrt(in)), normal(device, out))
            .tanh();
      }
      default -> {
        Tensor flat = rank == 0 ? x.reshape(1) : x;
        int c = flat.dim(-1);
        yield Ops.layerNorm(flat, normal(device, c), normal(device, c), 0.1).tanh();
      }
    };
  }

  /** Something that broadcasts with x. */
  private Tensor other(Device device, Tensor x) {
    int[] dims = x.shape().dims();
    int from = below(dims.length + 1);
    int[] shape =
        IntStream.range(from, dims.length).map(i -> below(3) == 0 ? 1 : dims[i]).toArray();
    return normal(device, shape);
  }

  private Tensor half(Tensor x, int axis) {
    int middle = (x.dim(axis) + 1) / 2;
    return x.slice(axis, middle - 1, x.dim(axis));
  }

  private int[] permutation(int rank) {
    return rng.fork(drawn++).permutation(rank);
  }

  /** Rounded numbers of the host, so that every device starts from the same. */
  private Tensor normal(Device device, int... dims) {
    long number = drawn++;
    Tensor known = leaves.get(number);
    if (known != null) {
      return known;
    }
    int size = IntStream.of(dims).reduce(1, (a, b) -> a * b);
    float[] values = new float[size];
    Rng own = rng.fork(number);
    for (int i = 0; i < size; i++) {
      values[i] = (float) (4 * own.uniform(i) - 2);
    }
    Tensor leaf = device.tensor(values, dims);
    leaves.put(number, leaf);
    return leaf;
  }

  private int below(int bound) {
    return rng.below(drawn++, bound);
  }
}
