// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.System.Logger.Level;
import java.util.List;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.cuda.CudaBackend;
import reverie.tensor.cuda.HostCuda;
import reverie.tensor.cuda.RealDevice;
import reverie.tensor.cuda.StandinAttention;
import reverie.tensor.cuda.driver.Dnn;
import reverie.tensor.cuda.driver.HostBlas;
import reverie.tensor.cuda.driver.HostDnn;
import reverie.tensor.cuda.driver.HostDriver;
import reverie.tensor.cuda.driver.Precision;
import reverie.tensor.op.Attention;

/** Which attention is cuDNN's, and that it is the same as ours. */
@EnabledIf(value = "reverie.tensor.cuda.HostCuda#isAvailable", disabledReason = HostCuda.REASON)
class AttentionGraphsTest extends ReplayedSteps {
  AttentionGraphsTest() {
    super(true);
  }

  /** Whoever computes the result, its log Σ exp serves the gradients of the other. */
  @ParameterizedTest
  @CsvSource({"true, true", "true, false", "false, true"})
  void gradientsAreThoseOfEithersResult(boolean forward, boolean backward) {
    Predicate<Dnn.Attention> attended = a -> a.backward() ? backward : forward;
    HostDriver driver = new HostDriver(1L << 28);
    HostDnn dnn = new HostDnn(driver, attended);
    try (CudaBackend backend = new CudaBackend(driver, new HostBlas(driver), dnn, Precision.BF16);
        Scope _ = Scope.open("test")) {
      Tensor[] expected = StandinAttention.attend(StandinAttention.factors(Device.cpu(), 2));
      Tensor[] got = StandinAttention.attend(StandinAttention.factors(new Device(backend), 2));
      for (int i = 0; i < got.length; i++) {
        StandinAttention.checkClose("output " + i, expected[i].toDoubles(), got[i].toDoubles());
      }
      List<String> launched = driver.launched();
      assertEquals(!forward, launched.contains("attention_halves_80"), launched.toString());
      assertEquals(!backward, launched.contains("attention_halves_dq_80"), launched.toString());
      assertEquals(2, backend.attentions().size(), backend.attentions().toString());
    }
  }

  /** By whom the property {@code reverie.cuda.attention} says, where there is a device. */
  @Test
  void agreesOnADevice() {
    CudaBackend backend = RealDevice.open(Precision.BF16);
    StandinAttention.agree(new Device(backend));
    System.getLogger(getClass().getName()).log(Level.INFO, backend.attentions());
  }

  /** Queries, keys and values of one product, with gaps, and results that are read as bfloat16. */
  @Test
  void readsFactorsWhereTheyLie() {
    Tensor x = normal(2, 256, 16);
    Tensor q = normal(144, 16);
    Tensor k = normal(144, 16);
    Tensor v = normal(160, 16);
    Tensor out = normal(8, 160);
    List<String> launched =
        replayedOne(() -> {
          Tensor y = x.add(1);
          Tensor attended =
              Ops.attention(
                  Ops.linear(y, q, null), Ops.linear(y, k, null), Ops.linear(y, v, null), 2, 0.3);
          return Ops.linear(attended, out, null);
        });
    assertTrue(
        launched.stream().noneMatch(name -> name.startsWith("attention")), launched.toString());
    int row = 144 + 144 + 160;
    Dnn.Attention joined = new Dnn.Attention(2, 2, 256, 256, 72, 80, 0.3f, row, row, row, false);
    assertTrue(asked.contains(joined), asked.toString());
  }

  /** cuDNN reads keys of every image, so those that several share are repeated, as ever. */
  @Test
  void repeatsKeysForIt() {
    Tensor x = normal(2, 256, 72);
    Tensor context = normal(1, 256, 8);
    Tensor k = normal(72, 8);
    List<String> launched =
        replayedOne(() -> {
          Tensor keys = Ops.repeatFirst(Ops.linear(context.add(1), k, null), 2);
          return Ops.attention(x, keys, keys, 1, 0.3);
        });
    assertTrue(launched.stream().noneMatch(name -> name.contains("halves")), launched.toString());
  }

  /** Tokens, channels, heads and the mode. */
  @ParameterizedTest
  @CsvSource({
    "255, 72, 1, BF16",
    "256, 128, 2, BF16",
    "256, 24, 1, BF16",
    "256, 74, 1, BF16",
    "256, 72, 1, TF32",
    "256, 72, 1, FLOAT32"
  })
  void asksForWhatTheTableHas(int tokens, int channels, int heads, Precision precision) {
    HostDriver driver = new HostDriver(1L << 28);
    try (CudaBackend backend =
            new CudaBackend(
                driver, new HostBlas(driver), new HostDnn(driver, asked::add), precision);
        Scope _ = Scope.open("test")) {
      Tensor x = new Device(backend).zeros(1, tokens, channels);
      Tensor[] inputs = {x, x, x};
      Attention attention = new Attention(1, heads);
      Tensor y = new Device(backend).zeros(1, heads, tokens);
      backend.scratchBytes(attention, inputs, new Tensor[] {x, y});
      assertEquals(List.of(), asked);
      assertEquals(List.of(), backend.attentions());
    }
  }
}
