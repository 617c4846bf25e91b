// SPDX-License-Identifier: Apache-2.0
package reverie.bench.report;

import java.util.List;

/**
 * What a step asks of a CUDA device.
 *
 * @param name of the step
 * @param total of all its nodes
 * @param floor the bytes that any such step has to move
 * @param memory the most bytes allocated at the same time
 * @param kernels the same by kernel, the longest time first
 */
public record Counted(String name, Sum total, long floor, long memory, List<Sum> kernels) {
  /** How often the step moves the bytes that it has to. */
  public double timesFloor() {
    return (double) (total.read + total.written) / floor;
  }

  /**
   * A sum over nodes.
   *
   * @param kernel whose; empty for all
   * @param nodes launches and calls of libraries
   * @param read bytes, each once for each node
   * @param written bytes
   * @param float32 floating-point operations of products on the ordinary units
   * @param tf32 those on the tensor cores
   * @param bf16 those on the tensor cores
   * @param millis the time these give at the device's rates
   */
  public record Sum(
      String kernel,
      int nodes,
      long read,
      long written,
      double float32,
      double tf32,
      double bf16,
      double millis) {}
}
