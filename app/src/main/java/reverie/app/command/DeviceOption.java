// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import picocli.CommandLine.Option;
import reverie.tensor.Device;
import reverie.tensor.cuda.Cuda;

/** The device of a command that computes. */
final class DeviceOption {
  @Option(
      names = "--device",
      paramLabel = "NAME",
      description =
          "${COMPLETION-CANDIDATES}: the processor, an NVIDIA GPU, or the GPU if it works and the"
              + " processor if not. Default: ${DEFAULT-VALUE}")
  private Name name = Name.best;

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
          case cuda -> Device.cuda();
          case best -> Device.best();
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
}
