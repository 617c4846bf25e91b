// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.c;

/** The functions in C for the tile unit, as {@link Kernels} has the others: {@code amx*.c}. */
final class TileKernels {
  final Pack pack;
  final Gemm gemm;
  final Filters filters;
  final Convolve convolve;
  final WeightGradient weightGradient;

  TileKernels(NativeLibrary library) {
    pack = library.function("amx_pack", Pack.class);
    gemm = library.function("amx_gemm", Gemm.class);
    filters = library.function("amx_conv_filters", Filters.class);
    convolve = library.function("amx_conv", Convolve.class);
    weightGradient = library.function("amx_conv_weight_gradient", WeightGradient.class);
  }

  /** {@code reverie_amx_pack}. */
  public interface Pack {
    void run(
        long b, long bRow, long bColumn, long k, long n, long terms, long first, long end, long to);
  }

  /** {@code reverie_amx_gemm}. */
  public interface Gemm {
    void run(
        long a,
        long aRow,
        long aStep,
        long b,
        long c,
        long cRow,
        long m,
        long n,
        long k,
        long terms,
        long bias,
        long add,
        long left);
  }

  /** {@code reverie_amx_conv_filters}. */
  public interface Filters {
    void run(
        long weight, int flipped, long cin, long cout, long terms, long first, long end, long to);
  }

  /** {@code reverie_amx_conv}. */
  public interface Convolve {
    void run(
        long x,
        long filters,
        long bias,
        long imageBias,
        long residual,
        long y,
        long n,
        long h,
        long w,
        long cin,
        long cout,
        long padding,
        long interleaved,
        long terms,
        long strip,
        long first,
        long end,
        long scratch);
  }

  /** {@code reverie_amx_conv_weight_gradient}. */
  public interface WeightGradient {
    void run(
        long x,
        long dy,
        long dweight,
        long n,
        long h,
        long w,
        long cin,
        long cout,
        long padding,
        long interleaved,
        long rows,
        long first,
        long end,
        long scratch);
  }
}
