// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

import java.lang.foreign.MemorySegment;

/**
 * What Reverie asks of one CUDA device: memory, kernels, one stream and graphs. Work is carried out
 * in the order in which it is asked for, later than the call that asks for it; only {@link
 * #download} and {@link #synchronize} wait.
 *
 * <p>Everything that can fail throws {@link reverie.tensor.ReverieException} with CUDA's name of
 * the error. An interface, so that tests run without a device and can make any call fail.
 */
public interface Driver extends AutoCloseable {
  /** Threads of every block of every kernel. */
  int THREADS = 256;

  /** What the device is. */
  Properties properties();

  /**
   * A device, as it describes itself.
   *
   * @param name for instance {@code NVIDIA H100 80GB HBM3}
   * @param capability of its instructions, for instance 90 for 9.0
   * @param multiprocessors how many blocks run at least at once
   * @param bytes of memory
   * @param cuda the newest version that the driver knows, for instance 13000 for 13.0
   */
  record Properties(String name, int capability, int multiprocessors, long bytes, int cuda) {}

  /**
   * What a kernel does.
   *
   * @param read bytes, each once
   * @param written bytes
   * @param flops floating-point operations of matrix products, others left out
   * @param unit what multiplies: for {@code FLOAT32} the ordinary units, else the tensor cores
   */
  record Work(long read, long written, double flops, Precision unit) {}

  /**
   * Memory, aligned to 256 bytes at least.
   *
   * @return its address on the device, or 0 if there is not as much
   */
  long allocate(long bytes);

  /** Gives memory back, after all work on it is done. */
  void free(long address);

  /** Bytes that {@link #allocate} could give now, about. */
  long freeBytes();

  /** Copies host memory, which may be changed as soon as this returns. */
  void upload(MemorySegment source, long target);

  /** Copies to the host, after all work before is done. */
  void download(long source, MemorySegment target);

  /**
   * A kernel of ours by its name in the source, without {@code reverie_}.
   *
   * @throws reverie.tensor.ReverieException if there is none
   */
  long kernel(String name);

  /**
   * Launches a kernel in blocks of {@value #THREADS} threads.
   *
   * @param arguments its one parameter, a struct; copied before this returns
   * @param work what it does, for those that count
   */
  void launch(long kernel, int blocks, MemorySegment arguments, Work work);

  /** From here on work is recorded instead of done. */
  void beginCapture();

  /** Work since {@link #beginCapture} as a graph. */
  long endCapture();

  /** Does the work of a graph. */
  void launchGraph(long graph);

  /** Destroys a graph. */
  void destroyGraph(long graph);

  /** A mark in the stream, to be made anew by every {@link #mark}. */
  long event();

  /** Marks this moment of the stream. */
  void mark(long event);

  /** The time between two marks, after waiting for the later one. */
  long nanosBetween(long earlier, long later);

  /** Destroys an event. */
  void destroyEvent(long event);

  /** Waits until all work is done; errors of earlier work are thrown here. */
  void synchronize();

  /** Ends the connection; nothing made by it may be used any more. */
  @Override
  void close();
}
