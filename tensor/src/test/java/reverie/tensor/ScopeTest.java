// SPDX-License-Identifier: Apache-2.0
package reverie.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import reverie.tensor.laws.LeakCheck;

@ExtendWith(LeakCheck.class)
class ScopeTest {
  private final Device device = Device.reference();

  @Test
  void useAfterCloseNamesTensorScopeAndLine() {
    Tensor x;
    try (Scope _ = Scope.open("step 3")) {
      x = device.zeros(2, 3);
      assertTrue(x.isLive());
    }
    assertFalse(x.isLive());
    String message = assertThrows(ReverieException.class, x::toFloats).getMessage();
    assertTrue(
        message.contains("F64[2, 3] was used after its scope \"step 3\" was closed at "), message);
    assertTrue(message.contains("ScopeTest.java:"), message);
    assertTrue(message.contains("\nhint: keep what must outlive a scope"), message);
    try (Scope _ = Scope.open("later")) {
      assertThrows(ReverieException.class, () -> x.add(1));
      assertThrows(ReverieException.class, x::transpose);
    }
    assertEquals("Tensor F64[2, 3] on reference (closed)", x.toString());
  }

  @Test
  void memoryIsGivenBack() {
    long before = device.liveBytes();
    try (Scope _ = Scope.open("outer")) {
      device.zeros(10);
      assertEquals(before + 80, device.liveBytes());
      try (Scope _ = Scope.open("inner")) {
        device.zeros(5).add(1);
        assertEquals(before + 160, device.liveBytes());
      }
      assertEquals(before + 80, device.liveBytes());
    }
    assertEquals(before, device.liveBytes());
  }

  @Test
  void keptTensorsLiveInTheEnclosingScope() {
    Tensor kept;
    try (Scope _ = Scope.open("outer")) {
      Tensor lost;
      try (Scope inner = Scope.open("inner")) {
        lost = device.full(1, 2);
        kept = inner.keep(device.full(7, 2)).reshape(2, 1);
      }
      assertEquals(7, kept.sum().item() / 2);
      assertFalse(lost.isLive());
    }
    assertFalse(kept.isLive());
  }

  @Test
  void keepingAViewOfWhatLivesLongerChangesNothing() {
    try (Scope parameters = Scope.detached("parameters")) {
      Tensor weight;
      try (Scope _ = Scope.open("load")) {
        weight = parameters.adopt(device.full(3, 4));
      }
      try (Scope _ = Scope.open("step")) {
        try (Scope micro = Scope.open("micro-step")) {
          micro.keep(weight.reshape(2, 2));
        }
      }
      assertTrue(weight.isLive());
    }
  }

  @Test
  void anOuterScopeCanKeepFromAnInnerOne() {
    try (Scope _ = Scope.open("a")) {
      Tensor x;
      try (Scope b = Scope.open("b")) {
        try (Scope _ = Scope.open("c")) {
          x = b.keep(device.zeros(1));
        }
        assertTrue(x.isLive());
      }
      assertTrue(x.isLive());
    }
  }

  @Test
  void adoptedTensorsLiveAsLongAsTheirScope() {
    Scope weights = Scope.detached("weights");
    Tensor x;
    try (Scope _ = Scope.open("load")) {
      x = weights.adopt(device.full(5, 2));
    }
    assertTrue(x.isLive());
    weights.close();
    assertFalse(x.isLive());
    try (Scope _ = Scope.open("late")) {
      Tensor y = device.zeros(1);
      String message = assertThrows(ReverieException.class, () -> weights.adopt(y)).getMessage();
      assertTrue(message.contains("\"weights\" is closed"), message);
    }
  }

  @Test
  void withoutAScopeNothingIsMade() {
    String message = assertThrows(ReverieException.class, () -> device.zeros(1)).getMessage();
    assertTrue(
        message.startsWith("scope: a tensor was made while no scope is open on thread "), message);
    assertTrue(message.contains("hint: wrap the work in try (Scope scope"), message);
  }

  @Test
  void theOutermostScopeHasNowhereToKeep() {
    try (Scope only = Scope.open("only")) {
      Tensor x = device.zeros(1);
      String message = assertThrows(ReverieException.class, () -> only.keep(x)).getMessage();
      assertTrue(message.contains("\"only\" has no enclosing scope to keep F64[1] in"), message);
    }
  }

  @Test
  void scopesCloseInnermostFirst() {
    Scope outer = Scope.open("outer");
    Scope inner = Scope.open("inner");
    String message = assertThrows(ReverieException.class, outer::close).getMessage();
    assertTrue(message.contains("\"outer\" was closed while it is not the innermost"), message);
    inner.close();
    inner.close();
    outer.close();
    assertThrows(ReverieException.class, () -> device.zeros(1));
  }

  @Test
  void scopesBelongToTheirThread() throws InterruptedException {
    try (Scope _ = Scope.open("here")) {
      AtomicReference<String> message = new AtomicReference<>();
      Thread other =
          new Thread(
              () -> {
                try {
                  device.zeros(1);
                } catch (ReverieException e) {
                  message.set(e.getMessage());
                }
              },
              "elsewhere");
      other.start();
      other.join();
      assertTrue(message.get().contains("no scope is open on thread elsewhere"), message.get());
      try (Scope there = Scope.open("there")) {
        Thread closer = new Thread(() -> assertThrows(ReverieException.class, there::close));
        AtomicReference<Throwable> failure = new AtomicReference<>();
        closer.setUncaughtExceptionHandler((_, e) -> failure.set(e));
        closer.start();
        closer.join();
        assertNull(failure.get());
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"group_norm", "linear"})
  void definitionsLeaveOnlyTheirOutputs(String operation) {
    try (Scope _ = Scope.open("test")) {
      Tensor x = Rng.of(1).normal(device, 2, 3, 4);
      Tensor w = Rng.of(2).normal(device, 4, 4);
      Tensor one = device.full(1, 4);
      long before = device.liveBytes();
      if (operation.equals("linear")) {
        Ops.linear(x, w, one);
        assertEquals(before + 24 * 8, device.liveBytes());
      } else {
        Ops.groupNorm(x, one, one, 2, 1e-5);
        assertEquals(before + (24 + 4 + 4) * 8, device.liveBytes());
      }
    }
  }
}
