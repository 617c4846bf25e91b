// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.io;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import reverie.tensor.DType;
import reverie.tensor.ReverieException;
import reverie.tensor.Shape;

/** A tensor in a file: its values as Java's numbers. */
record StoredTensor(Path path, String name, DType dtype, Shape shape, StoredBytes bytes) {
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfDouble DOUBLE =
      ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /** The number of elements. */
  int length() {
    long size = shape.size();
    if (size > Integer.MAX_VALUE - 8) {
      throw wrongType("at most 2147483639 elements", "split the tensor");
    }
    return (int) size;
  }

  /** Values in row-major order; F64 is rounded. */
  float[] floats(int from, int to) {
    if (!dtype.isFloating()) {
      throw wrongType("a floating-point type", "read it with longs(name)");
    }
    return part(from, to).read(values -> floats(values, to - from));
  }

  private StoredBytes part(int from, int to) {
    return bytes.part((long) dtype.bytes() * from, (long) dtype.bytes() * to);
  }

  private float[] floats(MemorySegment values, int count) {
    float[] out = new float[count];
    switch (dtype) {
      case F32 -> MemorySegment.copy(values, FLOAT, 0, out, 0, count);
      case F64 -> {
        for (int i = 0; i < count; i++) {
          out[i] = (float) values.getAtIndex(DOUBLE, i);
        }
      }
      case F16 -> {
        for (int i = 0; i < count; i++) {
          out[i] = Float.float16ToFloat(values.getAtIndex(SHORT, i));
        }
      }
      default -> {
        for (int i = 0; i < count; i++) {
          out[i] = Float.intBitsToFloat(values.getAtIndex(SHORT, i) << 16);
        }
      }
    }
    return out;
  }

  /** Values in row-major order, without rounding. */
  double[] doubles(int from, int to) {
    if (dtype == DType.F64) {
      return part(from, to).read(values -> values.toArray(DOUBLE));
    }
    float[] narrow = floats(from, to);
    double[] out = new double[narrow.length];
    Arrays.setAll(out, i -> narrow[i]);
    return out;
  }

  /** Values of an integer tensor in row-major order. */
  long[] longs() {
    if (dtype.isFloating()) {
      throw wrongType("an integer type", "read it with floats(name) or doubles(name)");
    }
    return bytes.read(values -> longs(values, length()));
  }

  private long[] longs(MemorySegment values, int count) {
    long[] out = new long[count];
    switch (dtype) {
      case I64 -> MemorySegment.copy(values, LONG, 0, out, 0, count);
      case I32 -> Arrays.setAll(out, i -> values.getAtIndex(INT, i));
      default -> Arrays.setAll(out, i -> values.get(ValueLayout.JAVA_BYTE, i) & 0xff);
    }
    return out;
  }

  private ReverieException wrongType(String expected, String hint) {
    return new ReverieException(
        String.format(
            Locale.ROOT,
            "safetensors: %s: tensor \"%s\": expected %s, got %s%s",
            path,
            ReverieException.shown(name),
            expected,
            dtype,
            shape),
        hint);
  }
}
