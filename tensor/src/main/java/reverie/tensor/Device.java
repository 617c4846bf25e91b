// SPDX-License-Identifier: Apache-2.0
package reverie.tensor;

import java.lang.foreign.MemorySegment;
import java.util.ServiceLoader;
import java.util.function.Supplier;
import reverie.tensor.op.Fill;
import reverie.tensor.spi.Backend;
import reverie.tensor.spi.BackendProvider;

/** Where tensors live and are computed; the factory of tensors from host values. */
public final class Device {
  private static final Supplier<Device> CPU = new Lazy("cpu");
  private static final Supplier<Device> CUDA = new Lazy("cuda");
  private static final Supplier<Device> REFERENCE = new Lazy("reference");

  private final Backend backend;

  /**
   * A device over a backend of your own; the built-in ones come from {@link #cpu()}, {@link
   * #cuda()} and {@link #reference()}.
   */
  public Device(Backend backend) {
    this.backend = backend;
  }

  /**
   * The processor: float32, multi-threaded, vectorised.
   *
   * @throws ReverieException if there are no kernels in C for it and Java was started without the
   *     vector module, with the flag to add
   */
  public static Device cpu() {
    return CPU.get();
  }

  /**
   * A graphics processor, through CUDA, cuBLAS and cuDNN; the properties {@code
   * reverie.cuda.device} and {@code reverie.precision} choose which and how.
   *
   * @throws ReverieException if there is none that works, with the reason and what to do
   */
  public static Device cuda() {
    return CUDA.get();
  }

  /** {@link #cuda()} if it works, else {@link #cpu()}; {@link #describe} says which it is. */
  public static Device best() {
    try {
      return cuda();
    } catch (ReverieException none) {
      return cpu();
    }
  }

  /** The oracle: scalar float64, slow and obvious, for gradient checks and conformance tests. */
  public static Device reference() {
    return REFERENCE.get();
  }

  /** The backend behind this device. */
  public Backend backend() {
    return backend;
  }

  /** The type in which this device computes. */
  public DType floatType() {
    return backend.floatType();
  }

  /** Bytes that live tensors occupy. */
  public long liveBytes() {
    return backend.liveBytes();
  }

  /** A tensor of these values in row-major order. */
  public Tensor tensor(float[] values, int... dims) {
    return uploaded(floats(values), floatType(), sized("tensor", values.length, dims));
  }

  /** A tensor of these values in row-major order, rounded to the device's type. */
  public Tensor tensor(double[] values, int... dims) {
    return uploaded(floats(values), floatType(), sized("tensor", values.length, dims));
  }

  /** An integer tensor of these values in row-major order. */
  public Tensor indices(int[] values, int... dims) {
    return uploaded(
        MemorySegment.ofArray(values), DType.I32, sized("indices", values.length, dims));
  }

  /** A tensor of zeros. */
  public Tensor zeros(int... dims) {
    return full(0, dims);
  }

  /**
   * A tensor that is to be assigned whole before it is read: it holds whatever its memory held.
   *
   * @param dtype {@link #floatType} or {@code I32}
   */
  public Tensor unset(DType dtype, int... dims) {
    Capturing.refuseUpload("unset");
    return allocate(new TensorType(dtype, Shape.of(dims)));
  }

  /** A tensor of one value. */
  public Tensor full(double value, int... dims) {
    return Ops.create(this, new Fill(value, Shape.of(dims)));
  }

  /** A tensor of rank 0. */
  public Tensor scalar(double value) {
    return full(value);
  }

  /** What computes and how, for people: threads, kernels, the name of a card. */
  public String describe() {
    return backend.describe();
  }

  /** All of {@link #describe} on which bits depend: no number of threads. */
  public String identity() {
    return describe().replaceFirst(", \\d+ threads?", "");
  }

  @Override
  public String toString() {
    return backend.name();
  }

  Tensor allocate(TensorType type) {
    // An error without a scope, before memory is taken.
    Scope.current();
    return tensor(type, Storage.allocated(backend, type.bytes()));
  }

  /** Host values in the type of this device. */
  MemorySegment floats(float[] values) {
    if (floatType() == DType.F32) {
      return MemorySegment.ofArray(values);
    }
    double[] wide = new double[values.length];
    for (int i = 0; i < values.length; i++) {
      wide[i] = values[i];
    }
    return MemorySegment.ofArray(wide);
  }

  /** Host values in the type of this device. */
  MemorySegment floats(double[] values) {
    if (floatType() == DType.F64) {
      return MemorySegment.ofArray(values);
    }
    float[] narrow = new float[values.length];
    for (int i = 0; i < values.length; i++) {
      narrow[i] = (float) values[i];
    }
    return MemorySegment.ofArray(narrow);
  }

  /** A tensor of this type that fills new memory, in the innermost open scope. */
  public Tensor tensor(TensorType type, Storage storage) {
    Scope.current().adopt(storage);
    return new Tensor(this, storage, type.dtype(), Layout.contiguous(type.shape()));
  }

  private Tensor uploaded(MemorySegment values, DType dtype, Shape shape) {
    Capturing.refuseUpload("tensor");
    Tensor tensor = allocate(new TensorType(dtype, shape));
    backend.upload(values, tensor.buffer(), 0);
    return tensor;
  }

  private static Shape sized(String operation, int values, int... dims) {
    Shape shape = Shape.of(dims);
    if (shape.size() != values) {
      throw new ReverieException(
          operation
              + ": expected "
              + shape.size()
              + " values for shape "
              + shape
              + ", got "
              + values);
    }
    return shape;
  }

  /** Makes a device at its first use, so that nothing can fail in a static initialiser. */
  private static final class Lazy implements Supplier<Device> {
    private final String name;
    private volatile Device made;

    Lazy(String name) {
      this.name = name;
    }

    @Override
    public Device get() {
      if (made == null) {
        synchronized (this) {
          if (made == null) {
            made = new Device(open());
          }
        }
      }
      return made;
    }

    private Backend open() {
      return ServiceLoader.load(BackendProvider.class, Device.class.getClassLoader()).stream()
          .map(ServiceLoader.Provider::get)
          .filter(provider -> provider.name().equals(name))
          .findFirst()
          .orElseThrow(() ->
              new ReverieException(
                  name + " device: its backend is not on the class path or module path",
                  "keep META-INF/services when jars are merged"))
          .open();
    }
  }
}
