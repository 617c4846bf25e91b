// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import picocli.CommandLine.Option;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.cuda.Cuda;
import reverie.tensor.cuda.driver.Precision;

/** The device of a command that computes. */
final class DeviceOption {
  @Option(
      names = "--device",
      paramLabel = "NAME",
      description =
          "${COMPLETION-CANDIDATES}: the processor, an NVIDIA GPU, or the GPU if it works and the"
              + " processor if not. Default: ${DEFAULT-VALUE}")
  private Name name = Name.best;

  @Option(
      names = "--precision",
      paramLabel = "NAME",
      description =
          "${COMPLETION-CANDIDATES}: to what an NVIDIA GPU rounds the factors of products."
              + " Default: FLOAT32, not at all")
  private Precision precision;

  private enum Name {
    cpu,
    cuda,
    best
  }

  /** The device; says which it is. */
  Device open(Session session) {
    Device device =
        switch (name) {
          case cpu -> Device.cpu();
          case cuda -> cuda();
          case best -> best();
        };
    if (name == Name.best && device == Device.cpu() && Cuda.hasDriver()) {
      session
          .err()
          .println("warning: there is an NVIDIA driver, but no device: ./reverie doctor says why");
    }
    session.err().println("computing on " + device.describe());
    session.err().flush();
    return device;
  }

  private Device cuda() {
    return precision == null ? Device.cuda() : new Device(Cuda.open(precision));
  }

  private Device best() {
    try {
      return cuda();
    } catch (ReverieException none) {
      return Device.cpu();
    }
  }
}
