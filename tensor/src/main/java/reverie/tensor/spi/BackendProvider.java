// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.spi;

/**
 * Opens a backend at the first use of its device; found as a service, so that the devices know no
 * backend.
 */
public interface BackendProvider {
  /** The device it is for: {@code cpu}, {@code cuda}, {@code reference}. */
  String name();

  /**
   * The backend.
   *
   * @throws reverie.tensor.ReverieException if there is none on this machine, with what to do
   */
  Backend open();
}
