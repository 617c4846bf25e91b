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

/** A tensor in a mapped file: its values as Java's numbers. */
record StoredTensor(Path path, String name, DType dtype, Shape shape, MemorySegment bytes) {
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
    float[] out = new float[to - from];
    switch (dtype) {
      case F32 -> MemorySegment.copy(bytes, FLOAT, 4L * from, out, 0, out.length);
      case F64 -> {
        for (int i = 0; i < out.length; i++) {
          out[i] = (float) bytes.getAtIndex(DOUBLE, from + i);
        }
      }
      case F16 -> {
        for (int i = 0; i < out.length; i++) {
          out[i] = Float.float16ToFloat(bytes.getAtIndex(SHORT, from + i));
        }
      }
      case BF16 -> {
        for (int i = 0; i < out.length; i++) {
          out[i] = Float.intBitsToFloat(bytes.getAtIndex(SHORT, from + i) << 16);
        }
      }
      case I32, I64, U8 -> throw wrongType("a floating-point type", "read it with longs(name)");
    }
    return out;
  }

  /** Values in row-major order, without rounding. */
  double[] doubles(int from, int to) {
    double[] out = new double[to - from];
    if (dtype == DType.F64) {
      MemorySegment.copy(bytes, DOUBLE, 8L * from, out, 0, out.length);
    } else {
      float[] narrow = floats(from, to);
      Arrays.setAll(out, i -> narrow[i]);
    }
    return out;
  }

  /** Values of an integer tensor in row-major order. */
  long[] longs() {
    long[] out = new long[length()];
    switch (dtype) {
      case I64 -> MemorySegment.copy(bytes, LONG, 0, out, 0, out.length);
      case I32 -> Arrays.setAll(out, i -> bytes.getAtIndex(INT, i));
      case U8 -> Arrays.setAll(out, i -> bytes.get(ValueLayout.JAVA_BYTE, i) & 0xff);
      case F32, F64, F16, BF16 ->
          throw wrongType("an integer type", "read it with floats(name) or doubles(name)");
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
