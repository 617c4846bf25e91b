// SPDX-License-Identifier: Apache-2.0
package reverie.bench.count;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import reverie.tensor.cuda.driver.Driver;
import reverie.tensor.cuda.driver.Precision;

/**
 * A device without memory: addresses point nowhere and work is recorded instead of done. What is
 * read back is zero.
 */
final class CountingDriver implements Driver {
  static final Properties H200 =
      new Properties("NVIDIA H200, counted", 90, 132, 143_771L << 20, 13000);

  private static final long ALIGNMENT = 256;

  private final Properties properties;
  private final Map<Long, Long> sizes = new HashMap<>();
  private final List<String> kernels = new ArrayList<>();
  private final List<List<Node>> graphs = new ArrayList<>();
  private List<Node> done = new ArrayList<>();
  private List<Node> capture;
  private long next = ALIGNMENT;
  private long used;
  private long peak;

  CountingDriver(Properties properties) {
    this.properties = properties;
  }

  /** Everything since the last call, in order; graphs node by node. */
  List<Node> takeNodes() {
    List<Node> nodes = done;
    done = new ArrayList<>();
    return nodes;
  }

  /** The most memory that was ever allocated at the same time. */
  long peakBytes() {
    return peak;
  }

  /** Records a node, or adds it to the graph that is captured. */
  void add(Node node) {
    (capture == null ? done : capture).add(node);
  }

  @Override
  public Properties properties() {
    return properties;
  }

  @Override
  public long allocate(long bytes) {
    if (used + bytes > properties.bytes()) {
      return 0;
    }
    long address = next;
    next += (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    sizes.put(address, bytes);
    used += bytes;
    peak = Math.max(peak, used);
    return address;
  }

  @Override
  public void free(long address) {
    used -= sizes.remove(address);
  }

  @Override
  public long freeBytes() {
    return properties.bytes() - used;
  }

  @Override
  public void upload(MemorySegment source, long target) {
    add(new Node("upload", new Work(0, source.byteSize(), 0, Precision.FLOAT32), 0));
  }

  @Override
  public void download(long source, MemorySegment target) {
    add(new Node("download", new Work(target.byteSize(), 0, 0, Precision.FLOAT32), 0));
    target.fill((byte) 0);
  }

  @Override
  public long kernel(String name) {
    kernels.add(name);
    return kernels.size() - 1L;
  }

  @Override
  public void launch(long kernel, int blocks, MemorySegment arguments, Work work) {
    String name = kernels.get(Math.toIntExact(kernel));
    boolean counts = work.flops() > 0 || name.equals("adam_w");
    add(new Node(name, work, counts ? work.read() + work.written() : 0));
  }

  @Override
  public void beginCapture() {
    capture = new ArrayList<>();
  }

  @Override
  public long endCapture() {
    graphs.add(capture);
    capture = null;
    return graphs.size() - 1L;
  }

  @Override
  public void launchGraph(long graph) {
    done.addAll(graphs.get(Math.toIntExact(graph)));
  }

  @Override
  public void destroyGraph(long graph) {
    graphs.set(Math.toIntExact(graph), List.of());
  }

  @Override
  public long event() {
    return 0;
  }

  @Override
  public void mark(long event) {}

  @Override
  public long nanosBetween(long earlier, long later) {
    return 0;
  }

  @Override
  public void destroyEvent(long event) {}

  @Override
  public void synchronize() {}

  @Override
  public void close() {}
}
