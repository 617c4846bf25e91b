// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR;
import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR;
import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT;
import static jcuda.driver.CUevent_flags.CU_EVENT_DEFAULT;
import static jcuda.driver.CUresult.CUDA_ERROR_OUT_OF_MEMORY;
import static jcuda.driver.CUresult.CUDA_SUCCESS;
import static jcuda.driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_RELAXED;
import static jcuda.driver.CUstream_flags.CU_STREAM_NON_BLOCKING;
import static jcuda.driver.JCudaDriver.*;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import jcuda.Pointer;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdevice;
import jcuda.driver.CUevent;
import jcuda.driver.CUfunction;
import jcuda.driver.CUgraph;
import jcuda.driver.CUgraphExec;
import jcuda.driver.CUmodule;
import jcuda.driver.CUstream;
import reverie.tensor.ReverieException;

/**
 * CUDA's driver through JCuda: one device's primary context, which is what cuBLAS and cuDNN work
 * in, made current on whichever thread calls; one stream; the packed kernels.
 */
final class JcudaDriver implements Driver {
  private static final String KERNELS = Packed.ours("kernels.fatbin");

  /** Bytes of a buffer for copies between host and device. */
  private static final long STAGED = 4L << 20;

  private record Function(String name, CUfunction handle) {}

  /** A stream whose address libraries without JCuda get. */
  static final class Stream extends CUstream {
    long address() {
      return getNativePointer();
    }
  }

  private final CUdevice device = new CUdevice();
  private final CUcontext context = new CUcontext();
  private final Handles<Function> functions = new Handles<>("kernel");
  private final Handles<CUgraphExec> graphs = new Handles<>("graph");
  private final Handles<CUevent> events = new Handles<>("event");
  private final Properties properties;
  private Stream stream;
  private CUmodule module;
  private StagingRing staging;

  /**
   * Connects to a device.
   *
   * @param ordinal its number, from 0
   * @throws ReverieException if there is none, or the kernels do not load
   */
  JcudaDriver(int ordinal) {
    check(cuInit(0), "initialising the driver");
    check(cuDeviceGet(device, ordinal), "opening device " + ordinal);
    properties = describe();
    check(cuDevicePrimaryCtxRetain(context, device), "retaining the primary context");
    try {
      Stream made = new Stream();
      makeCurrent();
      check(cuStreamCreate(made, CU_STREAM_NON_BLOCKING), "creating a stream");
      stream = made;
      CUmodule loaded = new CUmodule();
      // Takes a fatbin as well; JCuda's cuModuleLoadFatBinary forgets what it loaded.
      check(cuModuleLoadData(loaded, kernels()), "loading the kernels");
      module = loaded;
      staging = new StagingRing(STAGED, new Staging(), JcudaDriver::pin);
    } catch (RuntimeException e) {
      close();
      throw e;
    }
  }

  /** Whether the kernels were compiled and packed. */
  static boolean hasKernels() {
    return Packed.has(KERNELS);
  }

  private static byte[] kernels() {
    if (!hasKernels()) {
      throw new ReverieException("cuda device: Reverie's kernels are missing", Packed.HINT);
    }
    try (InputStream in = Packed.open(KERNELS)) {
      return in.readAllBytes();
    } catch (IOException e) {
      throw new ReverieException(
          "cuda device: the resource " + KERNELS + " cannot be read: " + e.getMessage(),
          "build again",
          e);
    }
  }

  private Properties describe() {
    byte[] name = new byte[256];
    check(cuDeviceGetName(name, name.length, device), "asking for the device's name");
    int length = 0;
    while (length < name.length && name[length] != 0) {
      length++;
    }
    long[] bytes = new long[1];
    check(cuDeviceTotalMem(bytes, device), "asking for the device's memory");
    int[] version = new int[1];
    check(cuDriverGetVersion(version), "asking for the driver's version");
    return new Properties(
        new String(name, 0, length, StandardCharsets.UTF_8),
        10 * attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)
            + attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR),
        attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT),
        bytes[0],
        version[0]);
  }

  private int attribute(int attribute) {
    int[] value = new int[1];
    check(cuDeviceGetAttribute(value, attribute, device), "asking for a property of the device");
    return value[0];
  }

  /** For the libraries that work on the same stream. */
  Stream stream() {
    return stream;
  }

  /** A context belongs to a thread; any may call. */
  void makeCurrent() {
    check(cuCtxSetCurrent(context), "making the context current");
  }

  @Override
  public Properties properties() {
    return properties;
  }

  @Override
  public long allocate(long bytes) {
    makeCurrent();
    Address address = new Address();
    int result = cuMemAlloc(address, bytes);
    if (result == CUDA_ERROR_OUT_OF_MEMORY) {
      return 0;
    }
    check(result, "allocating memory");
    return address.value();
  }

  @Override
  public void free(long address) {
    makeCurrent();
    check(cuMemFree(new Address(address)), "freeing memory");
  }

  @Override
  public long freeBytes() {
    makeCurrent();
    long[] free = new long[1];
    check(cuMemGetInfo(free, new long[1]), "asking for the free memory");
    return free[0];
  }

  @Override
  public void upload(MemorySegment source, long target) {
    makeCurrent();
    staging.upload(source, target);
  }

  /** What the staging ring asks of the stream. */
  private final class Staging implements StagingRing.Stream {
    private final CUevent[] marks = new CUevent[StagingRing.BUFFERS];

    @Override
    public void copy(MemorySegment buffer, long target) {
      check(
          cuMemcpyHtoDAsync(
              new Address(target), new Address(buffer.address()), buffer.byteSize(), stream),
          "copying to the device");
    }

    @Override
    public void mark(int buffer) {
      if (marks[buffer] == null) {
        marks[buffer] = events.get(event());
      }
      check(cuEventRecord(marks[buffer], stream), "recording an event");
    }

    @Override
    public void await(int buffer) {
      check(cuEventSynchronize(marks[buffer]), "waiting for an event");
    }
  }

  /** Without this the driver copies through memory of its own, which is slower. */
  private static void pin(MemorySegment buffer) {
    cuMemHostRegister(Pointer.to(buffer.asByteBuffer()), buffer.byteSize(), 0);
  }

  @Override
  public void download(long source, MemorySegment target) {
    makeCurrent();
    long bytes = target.byteSize();
    // Uploads that still read this buffer come before in the stream.
    MemorySegment buffer = staging.buffers()[0];
    for (long at = 0; at < bytes; at += buffer.byteSize()) {
      MemorySegment piece = buffer.asSlice(0, Math.min(buffer.byteSize(), bytes - at));
      check(
          cuMemcpyDtoHAsync(
              new Address(piece.address()), new Address(source + at), piece.byteSize(), stream),
          "copying from the device");
      synchronize();
      target.asSlice(at, piece.byteSize()).copyFrom(piece);
    }
  }

  @Override
  public long kernel(String name) {
    makeCurrent();
    CUfunction function = new CUfunction();
    check(cuModuleGetFunction(function, module, "reverie_" + name), "finding the kernel " + name);
    return functions.add(new Function(name, function));
  }

  @Override
  public void launch(long kernel, int blocks, MemorySegment arguments, Work work) {
    makeCurrent();
    Function function = functions.get(kernel);
    Pointer parameters = Pointer.to(new Address(arguments.address()));
    int result =
        cuLaunchKernel(function.handle(), blocks, 1, 1, THREADS, 1, 1, 0, stream, parameters, null);
    Reference.reachabilityFence(arguments);
    if (result != CUDA_SUCCESS) {
      check(
          result,
          String.format(
              Locale.ROOT, "launching the kernel %s in %d blocks", function.name(), blocks));
    }
  }

  @Override
  public void beginCapture() {
    makeCurrent();
    // Relaxed: libraries may load kernels of theirs at the first use.
    check(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED), "beginning a graph");
  }

  @Override
  public long endCapture() {
    makeCurrent();
    CUgraph graph = new CUgraph();
    check(cuStreamEndCapture(stream, graph), "ending a graph");
    try {
      CUgraphExec executable = new CUgraphExec();
      check(cuGraphInstantiate(executable, graph, 0), "instantiating a graph");
      return graphs.add(executable);
    } finally {
      check(cuGraphDestroy(graph), "destroying a captured graph");
    }
  }

  @Override
  public void launchGraph(long graph) {
    makeCurrent();
    check(cuGraphLaunch(graphs.get(graph), stream), "launching a graph");
  }

  @Override
  public void destroyGraph(long graph) {
    makeCurrent();
    check(cuGraphExecDestroy(graphs.remove(graph)), "destroying a graph");
  }

  @Override
  public long event() {
    makeCurrent();
    CUevent event = new CUevent();
    check(cuEventCreate(event, CU_EVENT_DEFAULT), "creating an event");
    return events.add(event);
  }

  @Override
  public void mark(long event) {
    makeCurrent();
    check(cuEventRecord(events.get(event), stream), "recording an event");
  }

  @Override
  public long nanosBetween(long earlier, long later) {
    makeCurrent();
    check(cuEventSynchronize(events.get(later)), "waiting for an event");
    float[] milliseconds = new float[1];
    check(
        cuEventElapsedTime(milliseconds, events.get(earlier), events.get(later)),
        "measuring the time between events");
    return (long) (milliseconds[0] * 1e6);
  }

  @Override
  public void destroyEvent(long event) {
    makeCurrent();
    check(cuEventDestroy(events.remove(event)), "destroying an event");
  }

  @Override
  public void synchronize() {
    makeCurrent();
    check(cuStreamSynchronize(stream), "waiting for the device");
  }

  /** Errors are left aside: after a kernel went wrong every call fails, and nothing is left. */
  @Override
  public void close() {
    cuCtxSetCurrent(context);
    graphs.all().forEach(graph -> cuGraphExecDestroy(graph));
    events.all().forEach(event -> cuEventDestroy(event));
    if (staging != null) {
      cuStreamSynchronize(stream);
      for (MemorySegment buffer : staging.buffers()) {
        cuMemHostUnregister(Pointer.to(buffer.asByteBuffer()));
      }
      staging.close();
    }
    if (module != null) {
      cuModuleUnload(module);
    }
    if (stream != null) {
      cuStreamDestroy(stream);
    }
    cuDevicePrimaryCtxRelease(device);
  }

  private static void check(int result, String what) {
    if (result != CUDA_SUCCESS) {
      String[] name = new String[1];
      String[] meaning = new String[1];
      cuGetErrorName(result, name);
      cuGetErrorString(result, meaning);
      throw Failure.driver(what, result, name[0], meaning[0]);
    }
  }
}
