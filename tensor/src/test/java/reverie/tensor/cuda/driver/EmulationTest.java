// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import reverie.tensor.cuda.HostCuda;

/** That the emulation shows mistakes: the kernels of {@code native/cuda/test/wrong.c}. */
@EnabledIf(value = "reverie.tensor.cuda.HostCuda#isAvailable", disabledReason = HostCuda.REASON)
class EmulationTest {
  private static final int ORDERS = 4;
  private static final int BLOCKS = 3;
  private static final int N = BLOCKS * Driver.THREADS;

  private final HostDriver driver = HostCuda.driver();

  @AfterEach
  void close() {
    driver.close();
  }

  /** What a kernel makes of 1 to n, beginning in an order. */
  private float[] run(String kernel, int order) {
    long x = driver.allocate(4 * N);
    long y = driver.allocate(4 * N);
    for (int i = 0; i < N; i++) {
      HostDriver.set(x, i, 1 + i);
      HostDriver.set(y, i, 0);
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment arguments = arena.allocateFrom(ValueLayout.JAVA_LONG, x, y, N);
      driver.order(order);
      driver.launch(driver.kernel(kernel), BLOCKS, arguments, null);
      driver.synchronize();
    }
    float[] result = new float[N];
    for (int i = 0; i < N; i++) {
      result[i] = HostDriver.get(y, i);
    }
    driver.free(x);
    driver.free(y);
    return result;
  }

  private static boolean hasNan(float... values) {
    return IntStream.range(0, values.length).anyMatch(i -> Float.isNaN(values[i]));
  }

  @Test
  void aRightKernelHasTheSameBitsInEveryOrder() {
    float[] expected = new float[N];
    for (int i = 0; i < N; i++) {
      int block = i / Driver.THREADS;
      expected[i] = 1 + block * Driver.THREADS + Driver.THREADS - 1 - i % Driver.THREADS;
    }
    for (int order = 0; order < ORDERS; order++) {
      assertArrayEquals(expected, run("right", order));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"wrong_unwritten", "wrong_too_early", "wrong_warp", "wrong_copy"})
  void whatIsReadBeforeItIsWrittenIsNan(String kernel) {
    for (int order = 0; order < ORDERS; order++) {
      assertTrue(hasNan(run(kernel, order)), kernel);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"wrong_too_early", "wrong_too_late", "wrong_warp", "wrong_block"})
  void whatIsARaceHasOtherBitsInAnotherOrder(String kernel) {
    Set<String> results = new HashSet<>();
    for (int order = 0; order < ORDERS; order++) {
      results.add(Arrays.toString(run(kernel, order)));
    }
    assertTrue(results.size() > 1, kernel);
  }

  @ParameterizedTest
  @CsvSource({
    "wrong_source, an address is not aligned to 16 bytes in block",
    "wrong_target, an address is not aligned to 16 bytes in block",
    "wrong_matrix, an address is not aligned to 16 bytes in block",
    "wrong_end, some threads wait for others that have ended in block",
    "wrong_wait, threads wait at different places in block",
  })
  void whatADeviceDoesNotSurviveIsSaid(String kernel, String mistake) {
    AssertionError error = assertThrows(AssertionError.class, () -> run(kernel, 0));
    assertTrue(error.getMessage().startsWith(kernel + ": " + mistake), error.getMessage());
    aRightKernelHasTheSameBitsInEveryOrder();
  }

  @Test
  void aDriverThatRunsKernelsInBothOrdersSaysWhichDependsOnThem() {
    driver.inBothOrders();
    run("right", 0);
    AssertionError error = assertThrows(AssertionError.class, () -> run("wrong_too_late", 0));
    assertTrue(error.getMessage().contains("wrong_too_late"), error.getMessage());
  }
}
