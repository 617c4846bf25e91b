// SPDX-License-Identifier: Apache-2.0
package reverie.bench.measure;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntToDoubleFunction;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;
import reverie.tensor.op.Cost;

/**
 * What this machine can do at best (Williams et al. 2009): floating-point operations a second with
 * all operands in registers, and bytes a second from and to memory. An operation cannot take less
 * time than the longer of what its arithmetic and its bytes need.
 *
 * @param threads how many work at once
 * @param gflops fused multiply-adds count twice
 * @param gflopsOneThread of one alone
 * @param gigabytes read and written a second, of arrays that no cache holds
 */
public record Roofline(
    int threads,
    double gflops,
    @JsonProperty("gflops_one_thread") double gflopsOneThread,
    @JsonProperty("gigabytes_a_second") double gigabytes) {
  private static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;
  private static final int CHAINS = 12;
  private static final int STEPS = 4_000_000;

  /** Larger than the caches of a processor. */
  private static final int FLOATS = 24 << 20;

  private static final int TRIES = 7;

  /** Measures it; takes some seconds. */
  public static Roofline measure(int threads) {
    double one = best(1, _ -> multiplyAdd()) * 2e-9 * CHAINS * SPECIES.length() * STEPS;
    double all = best(threads, _ -> multiplyAdd()) * 2e-9 * CHAINS * SPECIES.length() * STEPS;
    List<float[][]> arrays = new ArrayList<>();
    for (int i = 0; i < threads; i++) {
      arrays.add(new float[3][FLOATS / threads]);
    }
    double sweeps = best(threads, i -> triad(arrays.get(i)));
    return new Roofline(threads, all * threads, one, sweeps * 3 * Float.BYTES * FLOATS * 1e-9);
  }

  /** The shortest time an operation can take, in nanoseconds. */
  public double limit(Cost cost) {
    return Math.max(cost.flops() / gflops, cost.bytes() / gigabytes);
  }

  /** How often a second each of some threads gets its work done, at best. */
  private static double best(int threads, IntToDoubleFunction work) {
    double[] sink = new double[threads];
    double shortest = Double.POSITIVE_INFINITY;
    for (int round = 0; round < TRIES; round++) {
      List<Thread> others = new ArrayList<>();
      long start = System.nanoTime();
      for (int i = 1; i < threads; i++) {
        int index = i;
        others.add(Thread.ofPlatform().start(() -> sink[index] += work.applyAsDouble(index)));
      }
      sink[0] += work.applyAsDouble(0);
      for (Thread other : others) {
        join(other);
      }
      shortest = Math.min(shortest, (System.nanoTime() - start) * 1e-9);
    }
    // Never true; keeps the work from being left out.
    return Double.isNaN(sink[0]) ? 0 : 1 / shortest;
  }

  private static void join(Thread thread) {
    try {
      thread.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /**
   * Twelve chains hide the latency of a fused multiply-add on processors that begin two a cycle.
   */
  private static double multiplyAdd() {
    FloatVector x = FloatVector.broadcast(SPECIES, 0.999f);
    FloatVector y = FloatVector.broadcast(SPECIES, 0.001f);
    FloatVector a = y;
    FloatVector b = y;
    FloatVector c = y;
    FloatVector d = y;
    FloatVector e = y;
    FloatVector f = y;
    FloatVector g = y;
    FloatVector h = y;
    FloatVector i = y;
    FloatVector j = y;
    FloatVector k = y;
    FloatVector l = y;
    for (int step = 0; step < STEPS; step++) {
      a = a.fma(x, y);
      b = b.fma(x, y);
      c = c.fma(x, y);
      d = d.fma(x, y);
      e = e.fma(x, y);
      f = f.fma(x, y);
      g = g.fma(x, y);
      h = h.fma(x, y);
      i = i.fma(x, y);
      j = j.fma(x, y);
      k = k.fma(x, y);
      l = l.fma(x, y);
    }
    FloatVector sum = a.add(b).add(c).add(d).add(e).add(f).add(g).add(h).add(i).add(j).add(k);
    return sum.add(l).lane(0);
  }

  private static double triad(float[][] arrays) {
    float[] x = arrays[0];
    float[] y = arrays[1];
    float[] z = arrays[2];
    for (int i = 0; i < z.length; i++) {
      z[i] = x[i] + 3f * y[i];
    }
    return z[z.length / 2];
  }
}
