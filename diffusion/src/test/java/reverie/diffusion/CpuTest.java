// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * What must hold in float32 on the processor, to the last bit, with a network that has what a U-Net
 * has.
 */
class CpuTest {
  private static final Device DEVICE = Device.cpu();

  /** Convolution, normalisation, attention to the context and guidance. */
  private static Denoiser network() {
    Rng weights = Rng.of(9);
    Tensor in = weights.fork(0).normal(DEVICE, 3, 3, 3, 16).mul(0.2);
    Tensor key = weights.fork(1).normal(DEVICE, 16, 12).mul(0.3);
    Tensor value = weights.fork(2).normal(DEVICE, 16, 12).mul(0.3);
    Tensor out = weights.fork(3).normal(DEVICE, 3, 3, 16, 3).mul(0.1);
    Tensor time = weights.fork(4).normal(DEVICE, 16).mul(0.01);
    Tensor one = DEVICE.full(1, 16);
    Tensor zero = DEVICE.zeros(16);
    Denoiser plain =
        (x, t, context) -> {
          int n = x.dim(0);
          Tensor h = Ops.conv2d(x, in, null, 1, 1).add(t.reshape(n, 1, 1, 1).mul(time));
          h = Ops.groupNorm(h, one, zero, 4, 1e-5).silu();
          Tensor tokens = h.reshape(n, x.dim(1) * x.dim(2), 16);
          Tensor seen =
              Ops.attention(
                  tokens,
                  Ops.linear(context, key, null),
                  Ops.linear(context, value, null),
                  1,
                  0.25);
          return Ops.conv2d(h.add(seen.reshape(h.shape().dims())), out, null, 1, 1);
        };
    return new Guidance(plain, 3, weights.fork(5).normal(DEVICE, 1, 5, 12));
  }

  private static Rng[] rows(int from, int to) {
    return IntStream.range(from, to).mapToObj(i -> Sampler.row(3, i, 0)).toArray(Rng[]::new);
  }

  @Test
  void everyFiniteRowOfTheReferenceFilesAgrees() throws URISyntaxException {
    for (Path file : List.of(ChainVectorCheckTest.file(), ChainVectorCheckTest.flows())) {
      ChainVectorCheck.Row worst =
          ChainVectorCheck.run(file, DEVICE).stream()
              .max(Comparator.comparingDouble(ChainVectorCheck.Row::error))
              .get();
      assertTrue(worst.error() < 1e-4, worst::toString);
    }
  }

  @Test
  void neitherBatchNorOrderChangesABit() {
    ReversePolicy policy = ReversePolicy.ddim(SchedulerConfig.defaults(), 6, 1);
    try (Scope _ = Scope.open("test")) {
      Denoiser network = network();
      Tensor context = Rng.of(4).normal(DEVICE, 7, 5, 12);
      Sampler sampler = new Sampler(policy, DEVICE);
      Trajectory all = sampler.rollout(network, context, rows(0, 7), 9, 8, 3);
      float[] together = all.result().toFloats();
      for (int[] split : new int[][] {{0, 1}, {1, 3}, {3, 7}}) {
        float[] part =
            sampler
                .sample(
                    network,
                    context.slice(0, split[0], split[1]),
                    rows(split[0], split[1]),
                    9,
                    8,
                    3)
                .toFloats();
        assertArrayEquals(Arrays.copyOfRange(together, split[0] * 216, split[1] * 216), part);
      }

      // Decisions of different steps, re-scored in one batch of another size: ratio exactly one.
      int[] picked = {6, 0, 3};
      int[] steps = {1, 4, 0};
      Decisions d = Decisions.of(all, picked, steps);
      Tensor contexts =
          Ops.concat(
              0,
              Arrays.stream(picked)
                  .mapToObj(i -> context.slice(0, i, i + 1))
                  .toArray(Tensor[]::new));
      Tensor output = network.predict(d.before(), policy.timesteps(d.before(), steps), contexts);
      Tensor again = policy.logProb(d.after(), policy.step(d.before(), output, steps));
      assertArrayEquals(new float[] {1, 1, 1}, again.sub(d.logProb()).exp().toFloats());
    }
  }

  @Test
  void sumsOfManyElementsAreFinite() {
    try (Scope _ = Scope.open("test")) {
      ReversePolicy policy =
          ReversePolicy.ddim(SchedulerConfig.stableDiffusion(), 50, 1)
              .reducedBy(LogProbReduction.SUM);
      Tensor x = Rng.of(1).normal(DEVICE, 2, 64, 64, 4);
      Tensor output = Rng.of(2).normal(DEVICE, 2, 64, 64, 4);
      for (int i = 0; i < 50; i++) {
        ReversePolicy.Step step = policy.step(x, output, i);
        for (float v : policy.logProb(policy.sample(step, rows(0, 2)), step).toFloats()) {
          // −½·log 2π − log σ − ½ per element, within five standard deviations.
          double expected =
              -16384 * (0.5 * Math.log(2 * Math.PI) + Math.log(policy.sigma(i)) + 0.5);
          assertEquals(expected, v, 5 * Math.sqrt(16384 / 2.0) + 1e-4 * Math.abs(expected));
        }
      }
    }
  }
}
