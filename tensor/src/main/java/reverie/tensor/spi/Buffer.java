// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.spi;

/** A piece of a device's memory; only its backend knows what it is. */
public interface Buffer {
  /** Size in bytes. */
  long bytes();
}
