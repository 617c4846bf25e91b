// SPDX-License-Identifier: Apache-2.0
package reverie.app.finetune;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.app.run.Metrics;
import reverie.tensor.Device;

class ManyEpochsTest {
  private static final int EARLY = 5;
  private static final int LATE = 30;

  @TempDir Path folder;

  /** Used bytes of the heap, and those of tensors. */
  private record Memory(long heap, long tensors) {
    static Memory now() {
      System.gc();
      Runtime runtime = Runtime.getRuntime();
      return new Memory(runtime.totalMemory() - runtime.freeMemory(), Device.cpu().liveBytes());
    }
  }

  /** With a checkpoint in each epoch, of which no copy may stay. */
  @Test
  void memoryStaysLevel() throws IOException {
    Path run = folder.resolve("run");
    Map<Integer, Memory> after = new HashMap<>();
    TinyRun.in(folder)
        .finetune(
            run,
            () -> {
              int epoch = Metrics.read(run).size() - 1;
              if (epoch == EARLY || epoch == LATE) {
                after.computeIfAbsent(epoch, _ -> Memory.now());
              }
              return false;
            },
            "epochs=" + (LATE + 1),
            "evaluation.every=" + (LATE + 1),
            "checkpoint_every=1");
    Memory early = after.get(EARLY);
    Memory late = after.get(LATE);
    assertEquals(early.tensors, late.tensors);
    long copies = (LATE - EARLY) * Files.size(run.resolve("checkpoint.safetensors"));
    assertTrue(late.heap - early.heap < copies / 2, () -> early + ", then " + late);
  }
}
