// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.laws;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import reverie.tensor.Device;

/**
 * Asserts that live bytes are after each test what they were before it: every tensor died with its
 * scope. Use it with {@code @ExtendWith(LeakCheck.class)}, or as a registered extension for devices
 * of your own.
 */
public final class LeakCheck implements BeforeEachCallback, AfterEachCallback {
  private final List<Device> devices;
  private long[] before;

  /** Watches the built-in devices. */
  public LeakCheck() {
    this(List.of(Device.reference(), Device.cpu()));
  }

  /** Watches these devices. */
  public LeakCheck(List<Device> devices) {
    this.devices = List.copyOf(devices);
  }

  @Override
  public void beforeEach(ExtensionContext context) {
    before = liveBytes();
  }

  @Override
  public void afterEach(ExtensionContext context) {
    long[] after = liveBytes();
    for (int i = 0; i < after.length; i++) {
      assertEquals(
          before[i],
          after[i],
          "live bytes on " + devices.get(i) + " after " + context.getDisplayName());
    }
  }

  private long[] liveBytes() {
    return devices.stream().mapToLong(Device::liveBytes).toArray();
  }
}
