// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.c;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.tensor.ReverieException;
import reverie.tensor.cpu.CpuBackend;
import reverie.tensor.cpu.KernelSet;

/** What is packed is loaded as it was built, or refused. */
class NativeLibraryTest {
  private static final byte[] CONTENT = "not a library".getBytes();

  @Test
  void aDamagedLibraryIsRefused(@TempDir Path folder) {
    ReverieException e =
        assertThrows(
            ReverieException.class, () -> NativeLibrary.extract(CONTENT, "00ff", folder, "x.so"));
    assertTrue(e.getMessage().contains("expected digest 00ff"), e.getMessage());
    assertTrue(e.getMessage().contains("-Dreverie.kernels=vector"), e.getMessage());
    assertEquals(0, folder.toFile().list().length);
  }

  @Test
  void theVectorApiIsAlwaysThere() {
    assertTrue(KernelSet.VECTOR.isAvailable());
    assertFalse(new CpuBackend(1, KernelSet.VECTOR).describe().contains("avx"));
  }
}
