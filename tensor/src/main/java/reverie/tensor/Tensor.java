// SPDX-License-Identifier: Apache-2.0
package reverie.tensor;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import reverie.tensor.graph.CapturedGraph;
import reverie.tensor.op.Affine;
import reverie.tensor.op.Binary;
import reverie.tensor.op.Clamp;
import reverie.tensor.op.Copy;
import reverie.tensor.op.EuclideanNorm;
import reverie.tensor.op.Expand;
import reverie.tensor.op.MatMul;
import reverie.tensor.op.Permute;
import reverie.tensor.op.Power;
import reverie.tensor.op.Reduce;
import reverie.tensor.op.Reshape;
import reverie.tensor.op.RoundTo;
import reverie.tensor.op.Slice;
import reverie.tensor.op.Softmax;
import reverie.tensor.op.Unary;
import reverie.tensor.spi.Buffer;

/**
 * An array of numbers on a device: a strided view of memory that belongs to a {@link Scope}. Every
 * method that computes goes through {@link Ops#apply}. Binary operations broadcast as NumPy does.
 */
public final class Tensor {
  /** How many values {@link #toString} shows. */
  private static final int SHOWN = 8;

  private final Device device;
  private final Storage storage;
  private final TensorType type;
  private final Layout layout;

  Tensor(Device device, Storage storage, DType dtype, Layout layout) {
    this.device = device;
    this.storage = storage;
    this.type = new TensorType(dtype, layout.shape());
    this.layout = layout;
  }

  // What it is.

  /** The dimensions. */
  public Shape shape() {
    return type.shape();
  }

  /** One dimension; a negative axis counts from the end. */
  public int dim(int axis) {
    return type.shape().dim(axis);
  }

  /** The element type. */
  public DType dtype() {
    return type.dtype();
  }

  /** Element type and shape. */
  public TensorType type() {
    return type;
  }

  /** The device it lives on. */
  public Device device() {
    return device;
  }

  /** Number of elements. */
  public long size() {
    return type.shape().size();
  }

  /** Distance in elements between neighbours along an axis; 0 where the axis is broadcast. */
  public int stride(int axis) {
    return layout.stride(axis);
  }

  /** A copy of all strides, in elements. */
  public int[] strides() {
    return layout.strides();
  }

  /** First element's position in the buffer, in elements. */
  public long offset() {
    return layout.offset();
  }

  /** Shape, strides and offset. */
  public Layout layout() {
    return layout;
  }

  /** Whether elements lie in row-major order without gaps. */
  public boolean isContiguous() {
    return layout.isContiguous();
  }

  /** Whether its memory is still there. */
  public boolean isLive() {
    return storage.isLive();
  }

  /** The memory, for backends; an error after the owning scope has closed. */
  public Buffer buffer() {
    return storage.live(type);
  }

  /**
   * Nothing as long as the memory is there.
   *
   * @throws ReverieException after the owning scope has closed, with its name and line
   */
  public void checkLive() {
    storage.check(type);
  }

  /** The memory with its lifetime, which views share. */
  public Storage storage() {
    return storage;
  }

  /** The same view of other memory. */
  public Tensor withStorage(Storage other) {
    return new Tensor(device, other, dtype(), layout);
  }

  /** The same view of other memory, with elements of another type. */
  public Tensor withStorage(Storage other, DType dtype) {
    return new Tensor(device, other, dtype, layout);
  }

  /** Elements of the same type in other memory. */
  public Tensor with(Storage other, Layout where) {
    return new Tensor(device, other, dtype(), where);
  }

  /** The same memory read in another way. */
  Tensor view(Layout other) {
    checkLive();
    return new Tensor(device, storage, dtype(), other);
  }

  /** The same values as a tensor that no recorder follows: gradients stop here. */
  public Tensor detach() {
    return view(layout);
  }

  // Element-wise.

  /** {@code this + other}. */
  public Tensor add(Tensor other) {
    return binary(Binary.Kind.ADD, other);
  }

  /** {@code this + c}. */
  public Tensor add(double c) {
    return Ops.apply(new Affine(1, c), this);
  }

  /** {@code this − other}. */
  public Tensor sub(Tensor other) {
    return binary(Binary.Kind.SUB, other);
  }

  /** {@code this − c}. */
  public Tensor sub(double c) {
    return Ops.apply(new Affine(1, -c), this);
  }

  /** {@code this · other}, element by element. */
  public Tensor mul(Tensor other) {
    return binary(Binary.Kind.MUL, other);
  }

  /** {@code this · c}. */
  public Tensor mul(double c) {
    return Ops.apply(new Affine(c, 0), this);
  }

  /** {@code this / other}, element by element. */
  public Tensor div(Tensor other) {
    return binary(Binary.Kind.DIV, other);
  }

  /** {@code this / c}. */
  public Tensor div(double c) {
    return Ops.apply(new Affine(1 / c, 0), this);
  }

  /** {@code −this}. */
  public Tensor neg() {
    return Ops.apply(new Affine(-1, 0), this);
  }

  /** The smaller of both; NaN if either is. */
  public Tensor minimum(Tensor other) {
    return binary(Binary.Kind.MINIMUM, other);
  }

  /** The larger of both; NaN if either is. */
  public Tensor maximum(Tensor other) {
    return binary(Binary.Kind.MAXIMUM, other);
  }

  /** 1 where {@code this > other}, else 0; no gradient flows. */
  public Tensor greater(Tensor other) {
    return binary(Binary.Kind.GREATER, other);
  }

  /** eˣ. */
  public Tensor exp() {
    return unary(Unary.Kind.EXP);
  }

  /** Natural logarithm. */
  public Tensor log() {
    return unary(Unary.Kind.LOG);
  }

  /** √x. */
  public Tensor sqrt() {
    return unary(Unary.Kind.SQRT);
  }

  /** 1/x. */
  public Tensor reciprocal() {
    return unary(Unary.Kind.RECIPROCAL);
  }

  /** x². */
  public Tensor square() {
    return unary(Unary.Kind.SQUARE);
  }

  /** |x|. */
  public Tensor abs() {
    return unary(Unary.Kind.ABS);
  }

  /** −1, 0 or 1; no gradient flows. */
  public Tensor sign() {
    return unary(Unary.Kind.SIGN);
  }

  /** Sine, of radians. */
  public Tensor sin() {
    return unary(Unary.Kind.SIN);
  }

  /** Cosine, of radians. */
  public Tensor cos() {
    return unary(Unary.Kind.COS);
  }

  /** Hyperbolic tangent. */
  public Tensor tanh() {
    return unary(Unary.Kind.TANH);
  }

  /** The error function. */
  public Tensor erf() {
    return unary(Unary.Kind.ERF);
  }

  /** 1/(1+e⁻ˣ). */
  public Tensor sigmoid() {
    return unary(Unary.Kind.SIGMOID);
  }

  /** log σ(x), without overflow. */
  public Tensor logSigmoid() {
    return unary(Unary.Kind.LOG_SIGMOID);
  }

  /** x·σ(x). */
  public Tensor silu() {
    return unary(Unary.Kind.SILU);
  }

  /** x·Φ(x) with the exact normal distribution function. */
  public Tensor gelu() {
    return unary(Unary.Kind.GELU);
  }

  /** max(x, 0). */
  public Tensor relu() {
    return unary(Unary.Kind.RELU);
  }

  /** xᵖ. */
  public Tensor pow(double p) {
    return Ops.apply(new Power(p), this);
  }

  /** min(max(x, low), high). */
  public Tensor clamp(double low, double high) {
    return Ops.apply(new Clamp(low, high), this);
  }

  /**
   * Values rounded to what {@code narrower} can hold, in the same dtype; the gradient passes
   * straight through.
   */
  public Tensor roundTo(DType narrower) {
    return Ops.apply(new RoundTo(narrower), this);
  }

  // Reductions.

  /** Sum over these axes, which disappear; over all when none is given. */
  public Tensor sum(int... axes) {
    return dropped(sumKeep(axes), axes);
  }

  /** Sum over these axes, which stay with size 1. */
  public Tensor sumKeep(int... axes) {
    return Ops.apply(new Reduce(Reduce.Kind.SUM, axes(axes)), this);
  }

  /** Mean over these axes, which disappear; over all when none is given. */
  public Tensor mean(int... axes) {
    return dropped(meanKeep(axes), axes);
  }

  /** Mean over these axes, which stay with size 1. */
  public Tensor meanKeep(int... axes) {
    double count = 1;
    for (int a : axes(axes)) {
      count *= dim(a);
    }
    return sumKeep(axes).mul(1 / count);
  }

  /** Maximum over these axes, which disappear; over all when none is given. */
  public Tensor max(int... axes) {
    return dropped(maxKeep(axes), axes);
  }

  /** Maximum over these axes, which stay with size 1. */
  public Tensor maxKeep(int... axes) {
    return Ops.apply(new Reduce(Reduce.Kind.MAX, axes(axes)), this);
  }

  /** The Euclidean norm of all elements, a scalar. */
  public Tensor norm() {
    return Ops.apply(new EuclideanNorm(), this);
  }

  /** Softmax over the last axis. */
  public Tensor softmax() {
    return Ops.apply(new Softmax(), this);
  }

  // Products.

  /** Matrix product {@code […, m, k] × […, k, n] → […, m, n]}; leading dimensions broadcast. */
  public Tensor matmul(Tensor other) {
    return Ops.apply(new MatMul(), this, other);
  }

  // Views.

  /** All rows, of the last axis, as one matrix: {@code [rows, last]}. */
  public Tensor rows() {
    return reshape(Math.toIntExact(shape().rows()), dim(-1));
  }

  /** The same elements in another shape; one dimension may be −1 and is worked out. */
  public Tensor reshape(int... dims) {
    Shape target = Shape.of(resolved(dims));
    return target.equals(shape()) ? this : Ops.apply(new Reshape(target), this);
  }

  /** Axis i of the result is axis {@code axes[i]} of this. */
  public Tensor permute(int... axes) {
    return Ops.apply(new Permute(axes), this);
  }

  /** The last two axes exchanged. */
  public Tensor transpose() {
    int rank = shape().rank();
    int[] axes = IntStream.range(0, rank).toArray();
    axes[shape().axis(-1)] = rank - 2;
    axes[shape().axis(-2)] = rank - 1;
    return permute(axes);
  }

  /** Elements {@code from} (included) to {@code to} (not included) along an axis. */
  public Tensor slice(int axis, int from, int to) {
    return Ops.apply(new Slice(shape().axis(axis), from, to), this);
  }

  /** Equal parts along an axis. */
  public Tensor[] split(int axis, int parts) {
    int size = dim(axis);
    if (parts <= 0 || size % parts != 0) {
      throw new ReverieException(
          "split: expected axis " + axis + " of " + type + " to divide into " + parts);
    }
    Tensor[] out = new Tensor[parts];
    for (int i = 0; i < parts; i++) {
      out[i] = slice(axis, i * (size / parts), (i + 1) * (size / parts));
    }
    return out;
  }

  /** Broadcasts to a shape. */
  public Tensor expand(int... dims) {
    Shape target = Shape.of(dims);
    return target.equals(shape()) ? this : Ops.apply(new Expand(target), this);
  }

  /** These values in row-major order: this tensor itself if it is so already. */
  public Tensor contiguous() {
    return isContiguous() ? this : Ops.apply(new Copy(), this);
  }

  // Values on the host.

  /** All values in row-major order. */
  public float[] toFloats() {
    float[] out = new float[Math.toIntExact(size())];
    if (dtype() == DType.F32) {
      copyTo(MemorySegment.ofArray(out));
    } else {
      double[] wide = toDoubles();
      for (int i = 0; i < out.length; i++) {
        out[i] = (float) wide[i];
      }
    }
    return out;
  }

  /** All values in row-major order. */
  public double[] toDoubles() {
    double[] out = new double[Math.toIntExact(size())];
    switch (dtype()) {
      case F64 -> copyTo(MemorySegment.ofArray(out));
      case F32 -> {
        float[] narrow = toFloats();
        Arrays.setAll(out, i -> narrow[i]);
      }
      default -> {
        int[] whole = toInts();
        Arrays.setAll(out, i -> whole[i]);
      }
    }
    return out;
  }

  /** All values of an index tensor in row-major order. */
  public int[] toInts() {
    if (dtype() != DType.I32) {
      throw new ReverieException(
          "toInts: expected I32, got " + type, "use toFloats() or toDoubles()");
    }
    int[] out = new int[Math.toIntExact(size())];
    copyTo(MemorySegment.ofArray(out));
    return out;
  }

  /** The value of a tensor of one element. */
  public double item() {
    if (size() != 1) {
      throw new ReverieException("item: expected one element, got " + type);
    }
    return toDoubles()[0];
  }

  /** Copies the values of {@code source}, of the same type, into this tensor's memory. */
  public void assign(Tensor source) {
    Ops.update(new Copy(), new Tensor[] {this}, source);
  }

  /**
   * Copies values of the host, in row-major order, into this tensor's memory: the way to change
   * what a {@link CapturedGraph} step reads.
   */
  public void assign(float[] values) {
    upload(DType.F32, device.floats(values), values.length);
  }

  /** Copies values of the host, rounded to the device's type, into this tensor's memory. */
  public void assign(double[] values) {
    upload(DType.F64, device.floats(values), values.length);
  }

  /** Copies indices of the host into this tensor's memory. */
  public void assign(int[] values) {
    upload(DType.I32, MemorySegment.ofArray(values), values.length);
  }

  /** Copies values of this tensor's own type, which lie one after another in row-major order. */
  public void assign(MemorySegment values) {
    upload(dtype(), values, Math.toIntExact(values.byteSize() / dtype().bytes()));
  }

  private void upload(DType given, MemorySegment values, int count) {
    if (given.isFloating() != dtype().isFloating() || count != size() || !isContiguous()) {
      throw new ReverieException(
          "assign: expected values for "
              + type
              + (isContiguous() ? "" : ", contiguous")
              + ", got "
              + given
              + "["
              + count
              + "]");
    }
    Capturing.refuseUpload("assign");
    device.backend().upload(values, buffer(), offset() * dtype().bytes());
  }

  /**
   * Copies values of this tensor's own type, one after another in row-major order, to memory of the
   * host, which they must fill: what {@link #assign(MemorySegment)} takes.
   */
  public void copyTo(MemorySegment target) {
    if (target.byteSize() != size() * dtype().bytes()) {
      throw new ReverieException(
          "copyTo: expected memory for " + type + ", got " + target.byteSize() + " bytes");
    }
    Capturing.refuseDownload(type);
    try (Scope _ = Scope.open("download")) {
      Tensor source = contiguous();
      device.backend().download(source.buffer(), source.offset() * dtype().bytes(), target);
    }
  }

  /** Type, device and the first values, for instance {@code Tensor F32[2] on cpu: 1.0, 2.5}. */
  @Override
  public String toString() {
    String what = "Tensor " + type + " on " + device;
    if (!isLive()) {
      return what + " (closed)";
    }
    if (storage.isMeta() || Capturing.isActive()) {
      return what + " (no values while a step is captured)";
    }
    return Interpreter.with(Direct.INSTANCE, () -> what + ": " + firstValues());
  }

  private String firstValues() {
    try (Scope _ = Scope.open("shown values")) {
      return LongStream.range(0, Math.min(size(), SHOWN))
              .mapToObj(this::shown)
              .collect(Collectors.joining(", "))
          + (size() > SHOWN ? ", …" : "");
    }
  }

  /** One value, by its place in row-major order. */
  private String shown(long place) {
    Tensor value = this;
    long rest = place;
    for (int axis = shape().rank() - 1; axis >= 0; axis--) {
      int index = (int) (rest % dim(axis));
      rest /= dim(axis);
      value = value.slice(axis, index, index + 1);
    }
    return switch (dtype()) {
      case F64 -> Double.toString(value.item());
      case I32 -> Integer.toString(value.toInts()[0]);
      default -> Float.toString((float) value.item());
    };
  }

  private Tensor unary(Unary.Kind kind) {
    return Ops.apply(new Unary(kind), this);
  }

  private Tensor binary(Binary.Kind kind, Tensor other) {
    return Ops.apply(new Binary(kind), this, other);
  }

  private int[] axes(int... axes) {
    if (axes.length == 0) {
      return IntStream.range(0, shape().rank()).toArray();
    }
    return IntStream.of(axes).map(shape()::axis).sorted().distinct().toArray();
  }

  private Tensor dropped(Tensor kept, int... axes) {
    int[] gone = axes(axes);
    int[] left =
        IntStream.range(0, shape().rank())
            .filter(i -> Arrays.binarySearch(gone, i) < 0)
            .map(this::dim)
            .toArray();
    return kept.reshape(left);
  }

  private int[] resolved(int[] dims) {
    int[] out = dims.clone();
    long known = 1;
    int open = -1;
    for (int i = 0; i < out.length; i++) {
      if (out[i] == -1 && open < 0) {
        open = i;
      } else {
        known *= out[i];
      }
    }
    if (open >= 0) {
      if (known == 0 || size() % known != 0) {
        throw new ReverieException(
            "reshape: expected " + Arrays.toString(dims) + " to fit " + type);
      }
      out[open] = Math.toIntExact(size() / known);
    }
    return out;
  }
}
