// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import reverie.tensor.ReverieException;
import reverie.tensor.cuda.driver.Precision;

/** What is said about a machine without a device, and which settings are refused. */
class CudaTest {
  @Test
  void anExaminationNamesEverything() {
    List<Cuda.Part> parts = Cuda.examine(List.of());
    assertEquals(
        List.of("NVIDIA driver", "cuBLAS", "cuDNN", "kernels"),
        parts.stream().map(Cuda.Part::subject).toList());
    assertFalse(parts.getFirst().found());
    assertEquals(
        "NVIDIA driver (libcuda.so.1) was found in none of 0 folders", parts.getFirst().detail());
  }

  @Test
  void wrongPropertiesAreRefused() {
    assertEquals(Precision.BF16, Cuda.precision("bf16"));
    assertTrue(
        assertThrows(ReverieException.class, () -> Cuda.precision("half"))
            .getMessage()
            .contains("float32, tf32 or bf16, got half"));
    assertTrue(Cuda.attends("cudnn"));
    assertFalse(Cuda.attends("own"));
    assertTrue(
        assertThrows(ReverieException.class, () -> Cuda.attends("both"))
            .getMessage()
            .contains("own or cudnn, got both"));
    assertEquals(3, Cuda.ordinal("3"));
    assertTrue(
        assertThrows(ReverieException.class, () -> Cuda.ordinal("-1"))
            .getMessage()
            .contains("the number of a device, got -1"));
  }
}
