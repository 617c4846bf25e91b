// SPDX-License-Identifier: Apache-2.0
package reverie.bench.count;

import reverie.tensor.cuda.driver.Driver;
import reverie.tensor.cuda.driver.Precision;

/**
 * What a device reaches in practice.
 *
 * @param bytes a second, from and to memory
 * @param float32 floating-point operations a second of the ordinary units
 * @param tf32 those of the tensor cores
 * @param bf16 those of the tensor cores
 * @param node seconds that even the smallest node of a graph takes
 */
record Rates(double bytes, double float32, double tf32, double bf16, double node) {
  /** Four fifths of an H200's data sheet; the time of a node is a common measurement. */
  static final Rates H200 = new Rates(4.0e12, 54e12, 395e12, 790e12, 2.2e-6);

  /** Seconds for a node: the longest of what its bytes, its arithmetic and a launch need. */
  double seconds(Driver.Work work) {
    double moved = (work.read() + work.written()) / bytes;
    return Math.max(node, Math.max(moved, work.flops() / rate(work.unit())));
  }

  private double rate(Precision unit) {
    return switch (unit) {
      case FLOAT32 -> float32;
      case TF32 -> tf32;
      case BF16 -> bf16;
    };
  }
}
