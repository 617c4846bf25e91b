// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import reverie.tensor.ReverieException;

/**
 * A device that is no device: its memory is the host's, and launches run the same kernels compiled
 * for the processor. Work outside a capture is done as late as a device may do it: when someone
 * waits for it.
 *
 * <p>Any call can be made to fail, what happened is counted, and what a device refuses while work
 * is captured is refused.
 */
public final class HostDriver implements Driver {
  private static final long ALIGNMENT = 256;

  /** So little that tests go round the ring. */
  private static final long STAGED = 256;

  /** Work that a device accepts before it makes the host wait. */
  private static final int MAX_PENDING = 1000;

  private static final ValueLayout.OfByte BYTE = ValueLayout.JAVA_BYTE;
  private static final MemorySegment ALL = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);

  private final Arena arena = Arena.ofShared();
  private final HostKernels library;
  private final long capacity;
  private final Map<Long, Arena> memory = new HashMap<>();
  private final Map<Long, Long> sizes = new HashMap<>();
  private final List<HostKernels.Kernel> kernels = new ArrayList<>();
  private final Map<Long, List<Runnable>> graphs = new HashMap<>();
  private final List<String> launched = new ArrayList<>();
  private final Map<Long, Long> events = new HashMap<>();
  private final Deque<Runnable> pending = new ArrayDeque<>();
  private final long[] passed = new long[StagingRing.BUFFERS];
  private final StagingRing staging;
  private Runnable onCapture = () -> {};
  private long done;
  private List<Runnable> capture;
  private long used;
  private long handles;
  private int calls;
  private int waits;
  private int failing = -1;
  private boolean inBothOrders;

  /** A device of so many bytes. */
  public HostDriver(long capacity) {
    this.capacity = capacity;
    library = new HostKernels(arena);
    staging = new StagingRing(STAGED, new Staging(), _ -> {});
  }

  /** Copies late: a buffer that is used again too early is copied with what it holds then. */
  private final class Staging implements StagingRing.Stream {
    @Override
    public void copy(MemorySegment buffer, long target) {
      pending.add(() -> MemorySegment.copy(buffer, 0, ALL, target, buffer.byteSize()));
    }

    @Override
    public void mark(int buffer) {
      passed[buffer] = done + pending.size();
    }

    @Override
    public void await(int buffer) {
      while (done < passed[buffer]) {
        next();
      }
    }
  }

  private void next() {
    done++;
    pending.remove().run();
  }

  private void finish() {
    while (!pending.isEmpty()) {
      next();
    }
  }

  /** Whether work is captured now. */
  public boolean isCapturing() {
    return capture != null;
  }

  /** What happens as soon as a capture has begun. */
  public void onCapture(Runnable action) {
    onCapture = action;
  }

  /** Whether there was a compiler when the tests were built. */
  public static boolean isAvailable() {
    return HostKernels.areAvailable();
  }

  /** Has every kernel run twice, threads and blocks in opposite orders, and compares all bits. */
  public HostDriver inBothOrders() {
    inBothOrders = true;
    return this;
  }

  /** Makes the call after so many others fail. */
  public void failAfter(int more) {
    failing = calls + more;
  }

  /** How often the device was asked for something that can fail. */
  public int calls() {
    return calls;
  }

  /** How often the host waited for the device. */
  public int waits() {
    return waits;
  }

  /** The kernels that ran, in their order. */
  public List<String> launched() {
    finish();
    return launched;
  }

  /**
   * Has threads and blocks of what this thread runs from now on take turns in one of four orders.
   */
  public void order(int order) {
    finish();
    library.order(order);
  }

  /** Memory, graphs and events that nobody gave back. */
  public int leaks() {
    return memory.size() + graphs.size() + events.size();
  }

  private void called(String what) {
    if (calls++ == failing) {
      throw new ReverieException("cuda device: " + what + " failed: CUDA_ERROR_UNKNOWN");
    }
  }

  /** Does work later, or captures it. */
  public void enqueue(String what, Runnable work) {
    called(what);
    if (capture != null) {
      capture.add(work);
    } else {
      pending.add(work);
      while (pending.size() > MAX_PENDING) {
        next();
      }
    }
  }

  private void refuseCapture(String what) {
    called(what);
    if (capture != null) {
      throw new AssertionError(what + " while work is captured");
    }
  }

  @Override
  public Properties properties() {
    return new Properties("this processor", 90, 2, capacity, 13000);
  }

  @Override
  public long allocate(long bytes) {
    refuseCapture("allocate");
    if (used + bytes > capacity) {
      return 0;
    }
    used += bytes;
    Arena own = Arena.ofShared();
    long address = own.allocate(Math.max(1, bytes), ALIGNMENT).address();
    memory.put(address, own);
    sizes.put(address, bytes);
    return address;
  }

  @Override
  public void free(long address) {
    refuseCapture("free");
    finish();
    used -= sizes.remove(address);
    memory.remove(address).close();
  }

  @Override
  public long freeBytes() {
    return capacity - used;
  }

  @Override
  public void upload(MemorySegment source, long target) {
    refuseCapture("upload");
    staging.upload(source, target);
  }

  @Override
  public void download(long source, MemorySegment target) {
    refuseCapture("download");
    waits++;
    finish();
    MemorySegment.copy(ALL, source, target, 0, target.byteSize());
  }

  @Override
  public long kernel(String name) {
    if (capture != null) {
      throw new AssertionError("the kernel " + name + " is loaded while work is captured");
    }
    kernels.add(library.kernel(name));
    return kernels.size() - 1L;
  }

  @Override
  public void launch(long kernel, int blocks, MemorySegment arguments, Work work) {
    HostKernels.Kernel one = kernels.get(Math.toIntExact(kernel));
    MemorySegment own = Arena.ofAuto().allocate(arguments.byteSize(), 16);
    own.copyFrom(arguments);
    enqueue(
        "launch",
        () -> {
          launched.add(one.name());
          if (inBothOrders) {
            compareOrders(one.name(), () -> one.run(own, blocks));
          } else {
            one.run(own, blocks);
          }
        });
  }

  private void compareOrders(String name, Runnable kernel) {
    Contents before = Contents.of(sizes);
    library.order(0);
    kernel.run();
    Contents after = Contents.of(sizes);
    before.restore();
    library.order(3);
    kernel.run();
    if (!after.areThere()) {
      throw new AssertionError(name + " gives other bits when its threads run in another order");
    }
  }

  @Override
  public void beginCapture() {
    refuseCapture("beginCapture");
    capture = new ArrayList<>();
    onCapture.run();
  }

  @Override
  public long endCapture() {
    List<Runnable> work = capture;
    capture = null;
    called("endCapture");
    graphs.put(++handles, work);
    return handles;
  }

  @Override
  public void launchGraph(long graph) {
    refuseCapture("launchGraph");
    pending.addAll(graphs.get(graph));
  }

  @Override
  public void destroyGraph(long graph) {
    if (capture != null) {
      throw new AssertionError("a graph is destroyed while work is captured");
    }
    graphs.remove(graph);
  }

  @Override
  public long event() {
    called("event");
    events.put(++handles, 0L);
    return handles;
  }

  @Override
  public void mark(long event) {
    called("mark");
    finish();
    events.put(event, System.nanoTime());
  }

  @Override
  public long nanosBetween(long earlier, long later) {
    return events.get(later) - events.get(earlier);
  }

  @Override
  public void destroyEvent(long event) {
    events.remove(event);
  }

  @Override
  public void synchronize() {
    refuseCapture("synchronize");
    waits++;
    finish();
  }

  @Override
  public void close() {
    pending.clear();
    staging.close();
    memory.values().forEach(Arena::close);
    memory.clear();
    arena.close();
  }

  public static float get(long address, long index) {
    return ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, address + 4 * index);
  }

  public static void set(long address, long index, double value) {
    ALL.set(ValueLayout.JAVA_FLOAT_UNALIGNED, address + 4 * index, (float) value);
  }

  /** A bfloat16. */
  public static float getHalf(long address, long index) {
    int bits = ALL.get(ValueLayout.JAVA_SHORT_UNALIGNED, address + 2 * index);
    return Float.intBitsToFloat(bits << 16);
  }

  public static void setHalf(long address, long index, double value) {
    int bits = reverie.tensor.DType.bf16Bits((float) value);
    ALL.set(ValueLayout.JAVA_SHORT_UNALIGNED, address + 2 * index, (short) bits);
  }

  /** A float32 or a bfloat16. */
  static float get(long address, boolean half, long index) {
    return half ? getHalf(address, index) : get(address, index);
  }

  static void set(long address, boolean half, long index, double value) {
    if (half) {
      setHalf(address, index, value);
    } else {
      set(address, index, value);
    }
  }

  /** What libraries take without loss: multiples of 16. */
  static void checkAligned(long address) {
    if (address % 16 != 0) {
      throw new AssertionError("CUDA_ERROR_MISALIGNED_ADDRESS: " + address % 256 + " modulo 256");
    }
  }

  /** A library loads kernels at the first call of a kind, which a capture may not survive. */
  static void checkKnown(HostDriver driver, Set<Object> made, Object kind) {
    if (made.add(kind) && driver.isCapturing()) {
      throw new AssertionError("first call within a capture: " + kind);
    }
  }

  /** Fills memory with NaN: what is not written shows. */
  public static void poison(long address, long bytes) {
    for (long i = 0; i < bytes; i++) {
      ALL.set(BYTE, address + i, (byte) -1);
    }
  }
}
