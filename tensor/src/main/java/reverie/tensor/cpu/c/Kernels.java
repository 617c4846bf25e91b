// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.c;

/**
 * The functions in C, each as an interface with the parameters of its prototype: a pointer is an
 * address of type {@code long}, {@code long}, {@code int} and {@code float} are what they are. What
 * they compute stands before each in {@code native/cpu}.
 */
final class Kernels {
  /** Null where the library has none. */
  final TileKernels tileUnit;

  final PackPanels packPanels;
  final Gemm gemm;
  final SumParts sumParts;
  final Transpose transpose;
  final ImplicitGemm implicitGemm;
  final ImplicitGemmWeight implicitGemmWeight;
  final WinogradFilters winogradFilters;
  final WinogradTiles winogradTiles;
  final WinogradWeightGradient winogradWeightGradient;
  final Attention attention;
  final AttentionBackward attentionBackward;
  final LayerNorm layerNorm;
  final LayerNormBackward layerNormBackward;
  final GroupNorm groupNorm;
  final GroupNormBackward groupNormBackward;
  final Geglu geglu;
  final GegluBackward gegluBackward;
  final Exp exp;
  final Silu silu;
  final SiluBackward siluBackward;
  final Add add;
  final AddRow addRow;
  final SumRows sumRows;
  final SquaredDistances squaredDistances;
  final Unary unary;
  final Binary binary;
  final Affine affine;
  final Clamp clamp;
  final Select select;
  final GeluBackward geluBackward;
  final Softmax softmax;
  final SoftmaxBackward softmaxBackward;
  final Sum sum;
  final Largest largest;
  final LargestRows largestRows;
  final Pool pool;
  final AdamW adamW;
  final Lerp lerp;

  Kernels(NativeLibrary library) {
    tileUnit = library.has("amx_gemm") ? new TileKernels(library) : null;
    packPanels = library.function("gemm_pack", PackPanels.class);
    gemm = library.function("gemm", Gemm.class);
    sumParts = library.function("gemm_sum", SumParts.class);
    transpose = library.function("transpose", Transpose.class);
    implicitGemm = library.function("implicit_gemm", ImplicitGemm.class);
    implicitGemmWeight = library.function("implicit_gemm_weight", ImplicitGemmWeight.class);
    winogradFilters = library.function("winograd_filters", WinogradFilters.class);
    winogradTiles = library.function("winograd_tiles", WinogradTiles.class);
    winogradWeightGradient =
        library.function("winograd_weight_gradient", WinogradWeightGradient.class);
    attention = library.function("attention", Attention.class);
    attentionBackward = library.function("attention_backward", AttentionBackward.class);
    layerNorm = library.function("layer_norm", LayerNorm.class);
    layerNormBackward = library.function("layer_norm_backward", LayerNormBackward.class);
    groupNorm = library.function("group_norm", GroupNorm.class);
    groupNormBackward = library.function("group_norm_backward", GroupNormBackward.class);
    geglu = library.function("geglu", Geglu.class);
    gegluBackward = library.function("geglu_backward", GegluBackward.class);
    exp = library.function("exp", Exp.class);
    silu = library.function("silu", Silu.class);
    siluBackward = library.function("silu_backward", SiluBackward.class);
    add = library.function("add", Add.class);
    addRow = library.function("add_row", AddRow.class);
    sumRows = library.function("sum_rows", SumRows.class);
    squaredDistances = library.function("squared_distances", SquaredDistances.class);
    unary = library.function("unary", Unary.class);
    binary = library.function("binary", Binary.class);
    affine = library.function("affine", Affine.class);
    clamp = library.function("clamp", Clamp.class);
    select = library.function("select", Select.class);
    geluBackward = library.function("gelu_backward", GeluBackward.class);
    softmax = library.function("softmax", Softmax.class);
    softmaxBackward = library.function("softmax_backward", SoftmaxBackward.class);
    sum = library.function("sum", Sum.class);
    largest = library.function("largest", Largest.class);
    largestRows = library.function("largest_rows", LargestRows.class);
    pool = library.function("pool", Pool.class);
    adamW = library.function("adamw", AdamW.class);
    lerp = library.function("lerp", Lerp.class);
  }

  // Matrix products: gemm.c.

  /** {@code reverie_gemm_pack}. */
  public interface PackPanels {
    void run(
        long b,
        long bRow,
        long bColumn,
        long k,
        long n,
        long row,
        long kAll,
        long first,
        long end,
        long to);
  }

  /** {@code reverie_gemm}. */
  public interface Gemm {
    void run(
        long a,
        long aRow,
        long aStep,
        long b,
        long bRow,
        long bColumn,
        long c,
        long cRow,
        long m,
        long n,
        long k,
        long bias,
        long add,
        long scratch);
  }

  /** {@code reverie_gemm_sum}. */
  public interface SumParts {
    void run(long parts, long count, long size, long first, long end, long to);
  }

  /** {@code reverie_transpose}. */
  public interface Transpose {
    void run(long from, long rows, long columns, long first, long end, long to);
  }

  // Convolutions as implicit matrix products: implicit_gemm.c.

  /** {@code reverie_implicit_gemm}. */
  public interface ImplicitGemm {
    void run(
        long windows,
        long images,
        long weights,
        int packed,
        long n,
        long out,
        long outImage,
        long outRow,
        long outPixel,
        long bias,
        long biasImage,
        long residual,
        long first,
        long end,
        long scratch);
  }

  /** {@code reverie_implicit_gemm_weight}. */
  public interface ImplicitGemmWeight {
    void run(
        long windows, long images, long dy, long n, long out, long first, long end, long scratch);
  }

  // Winograd's algorithm: winograd.c, winograd_gradient.c.

  /** {@code reverie_winograd_filters}. */
  public interface WinogradFilters {
    void run(
        long weight, int flipped, long cin, long cout, int t, long first, long end, long points);
  }

  /** {@code reverie_winograd_tiles}. */
  public interface WinogradTiles {
    void run(
        long x,
        long weight,
        int flipped,
        long points,
        long bias,
        long imageBias,
        long residual,
        long y,
        long h,
        long w,
        long cin,
        long cout,
        long padding,
        int t,
        long first,
        long end,
        long firstOutput,
        long endOutput,
        long scratch);
  }

  /** {@code reverie_winograd_weight_gradient}. */
  public interface WinogradWeightGradient {
    void run(
        long x,
        long dy,
        long dweight,
        long h,
        long w,
        long cin,
        long cout,
        long padding,
        int t,
        long first,
        long end,
        long block,
        long cinFirst,
        long inputs,
        long coutFirst,
        long outputs,
        long scratch);
  }

  // Attention: attention.c, attention_backward.c.

  /** {@code reverie_attention}. */
  public interface Attention {
    void run(
        long q,
        long k,
        long v,
        long y,
        long logSumExp,
        long tq,
        long tk,
        long heads,
        long d,
        long dv,
        float scale,
        long block,
        long scratch);
  }

  /** {@code reverie_attention_backward}. */
  public interface AttentionBackward {
    void run(
        long q,
        long k,
        long v,
        long y,
        long logSumExp,
        long dy,
        long dq,
        long dk,
        long dv,
        long tq,
        long tk,
        long heads,
        long depth,
        long valueDepth,
        float scale,
        long block,
        long scratch);
  }

  // Normalisation: layer_norm.c, group_norm.c.

  /** {@code reverie_layer_norm}. */
  public interface LayerNorm {
    void run(
        long x,
        long gamma,
        long beta,
        long y,
        long mean,
        long rstd,
        long first,
        long end,
        long c,
        float epsilon);
  }

  /** {@code reverie_layer_norm_backward}. */
  public interface LayerNormBackward {
    void run(
        long x,
        long gamma,
        long mean,
        long rstd,
        long dy,
        long dx,
        long sums,
        long first,
        long end,
        long c);
  }

  /** {@code reverie_group_norm}. */
  public interface GroupNorm {
    void run(
        long x,
        long gamma,
        long beta,
        long y,
        long mean,
        long rstd,
        long image,
        long pixels,
        long c,
        long groups,
        float epsilon,
        int silu,
        long scratch);
  }

  /** {@code reverie_group_norm_backward}. */
  public interface GroupNormBackward {
    void run(
        long x,
        long gamma,
        long beta,
        long mean,
        long rstd,
        long dy,
        long dx,
        long sums,
        long image,
        long pixels,
        long c,
        long groups,
        int silu,
        long scratch);
  }

  // Activations, sums and products: elements.c.

  /** {@code reverie_geglu}. */
  public interface Geglu {
    void run(long x, long y, long first, long end, long c);
  }

  /** {@code reverie_geglu_backward}. */
  public interface GegluBackward {
    void run(long x, long dy, long dx, long y, long first, long end, long c);
  }

  /** {@code reverie_exp}. */
  public interface Exp {
    void run(long x, long y, long first, long end);
  }

  /** {@code reverie_silu}. */
  public interface Silu {
    void run(long x, long y, long first, long end);
  }

  /** {@code reverie_silu_backward}. */
  public interface SiluBackward {
    void run(long x, long dy, long dx, long first, long end);
  }

  /** {@code reverie_add}. */
  public interface Add {
    void run(long a, long b, long y, float factor, long first, long end);
  }

  /** {@code reverie_add_row}. */
  public interface AddRow {
    void run(long x, long row, long y, long first, long end, long c);
  }

  /** {@code reverie_sum_rows}. */
  public interface SumRows {
    void run(long x, long to, long rows, long c);
  }

  /** {@code reverie_squared_distances}. */
  public interface SquaredDistances {
    void run(long a, long b, long to, long rows, long c);
  }

  // Functions of elements, rows and images: maps.c.

  /** {@code reverie_unary}. */
  public interface Unary {
    void run(int kind, long x, long y, long count);
  }

  /** {@code reverie_binary}. */
  public interface Binary {
    void run(int kind, long a, long b, long y, long count);
  }

  /** {@code reverie_affine}. */
  public interface Affine {
    void run(long x, long y, float scale, float shift, long count);
  }

  /** {@code reverie_clamp}. */
  public interface Clamp {
    void run(long x, long y, float low, float high, long count);
  }

  /** {@code reverie_select}. */
  public interface Select {
    void run(long mask, long a, long b, long y, long count);
  }

  /** {@code reverie_gelu_backward}. */
  public interface GeluBackward {
    void run(long x, long dy, long dx, long count);
  }

  /** {@code reverie_softmax}. */
  public interface Softmax {
    void run(long x, long y, long first, long end, long c);
  }

  /** {@code reverie_softmax_backward}. */
  public interface SoftmaxBackward {
    void run(long y, long dy, long dx, long first, long end, long c);
  }

  /** {@code reverie_sum}. */
  public interface Sum {
    double run(long x, long count);
  }

  /** {@code reverie_largest}. */
  public interface Largest {
    float run(long x, long count);
  }

  /** {@code reverie_largest_rows}. */
  public interface LargestRows {
    void run(long x, long to, long rows, long c);
  }

  /** {@code reverie_pool}. */
  public interface Pool {
    void run(long x, long row, long factor, long c, float scale, long to);
  }

  // Steps of optimizers and moving averages: updates.c.

  /** {@code reverie_adamw}. */
  public interface AdamW {
    void run(
        long p,
        long g,
        long m,
        long v,
        long control,
        long pNext,
        long mNext,
        long vNext,
        long first,
        long end,
        float beta1,
        float beta2,
        float oneMinusBeta1,
        float oneMinusBeta2,
        float epsilon,
        float weightDecay);
  }

  /** {@code reverie_lerp}. */
  public interface Lerp {
    void run(long a, long b, long weight, long to, long first, long end);
  }
}
