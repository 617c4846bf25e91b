// SPDX-License-Identifier: Apache-2.0
package reverie.autograd.nn;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import reverie.autograd.Tape;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Shape;
import reverie.tensor.Tensor;

/**
 * Low-rank adaptation (Hu et al. 2021): the chosen weights W of linear layers and 1×1 convolutions
 * become {@code W + (α/r)·B·A} with {@code A [r, in]}, {@code B [out, r]}, while the model itself
 * is frozen. B starts at zero, so that nothing changes at first; switched off, the model is the
 * reference model again.
 *
 * <p>A linear layer adds {@code (α/r)·(x·Aᵀ)·Bᵀ} to its output where that is fewer operations than
 * the gradient of W; narrower layers and convolutions add to W.
 */
public final class Lora implements AutoCloseable {
  private static final String WEIGHT = ".weight";

  /**
   * How large an adapter is.
   *
   * @param alpha equal to the rank means a factor of 1
   */
  public record Size(int rank, double alpha) {
    /** Checks both. */
    public Size {
      if (rank < 1 || !(alpha > 0)) {
        throw new ReverieException(
            "lora: expected rank ≥ 1 and alpha > 0, got " + rank + " and " + alpha);
      }
    }
  }

  /**
   * One adapter.
   *
   * @param module the weight's name without {@code .weight}
   * @param base the weight
   * @param a {@code [rank, in]}
   * @param b {@code [out, rank]}
   */
  public record Adapter(String module, Parameter base, Parameter a, Parameter b, Size size) {}

  private final Parameters parameters;
  private final List<Adapter> adapters = new ArrayList<>();
  private final List<Adaptation> adaptations = new ArrayList<>();
  private Parameters active;
  private double strength = 1;

  /**
   * Freezes the model and puts adapters of one size on it.
   *
   * @param targets which modules, by the name of the weight without {@code .weight}; other than
   *     linear layers and 1×1 convolutions are not asked for
   * @throws ReverieException if none is chosen
   */
  public Lora(Parameters model, Size size, Predicate<String> targets, Rng rng) {
    this(model, chosen(model, size, targets), rng);
  }

  /**
   * Freezes the model and puts adapters on it.
   *
   * @param sizes for each module, by the name of the weight without {@code .weight}
   * @throws ReverieException if there is none, or one is neither a linear layer nor a 1×1
   *     convolution of the model
   */
  public Lora(Parameters model, Map<String, Size> sizes, Rng rng) {
    if (sizes.isEmpty()) {
      throw new ReverieException(
          "lora: no linear weight of the model is chosen",
          "targets see names like mid_block.attentions.0.to_q");
    }
    parameters =
        model.device() == null ? Parameters.shapesOnly() : Parameters.random(model.device(), rng);
    active = parameters;
    try {
      sizes.forEach((module, size) -> add(model.get(module + WEIGHT), module, size));
    } catch (RuntimeException e) {
      close();
      throw e;
    }
    model.freeze(_ -> true);
  }

  private static Map<String, Size> chosen(Parameters model, Size size, Predicate<String> targets) {
    Map<String, Size> sizes = new LinkedHashMap<>();
    modules(model).stream().filter(targets).forEach(module -> sizes.put(module, size));
    return sizes;
  }

  private void add(Parameter base, String module, Size size) {
    if (!isMatrix(base)) {
      throw new ReverieException("lora: expected a linear layer or a 1×1 convolution, got " + base);
    }
    int out = base.fileShape().dim(0);
    int in = base.fileShape().dim(1);
    Parameters at = parameters.at(module);
    Parameter a = at.create("lora_A.weight", AxisOrder.SAME, Initialiser.fanIn(in), size.rank, in);
    Parameter b = at.create("lora_B.weight", AxisOrder.SAME, Initialiser.zeros(), out, size.rank);
    Adapter adapter = new Adapter(module, base, a, b, size);
    adapters.add(adapter);
    Adaptation adaptation = new LowRank(adapter);
    adaptations.add(adaptation);
    base.adapt(adaptation);
  }

  /** The modules of a model that can be adapted, in the order of their making. */
  public static List<String> modules(Parameters model) {
    return model.all().stream()
        .filter(p -> p.name().endsWith(WEIGHT) && isMatrix(p))
        .map(p -> p.name().substring(0, p.name().length() - WEIGHT.length()))
        .toList();
  }

  private static boolean isMatrix(Parameter p) {
    Shape shape = p.shape();
    return shape.rank() == 2
        || p.axisOrder() == AxisOrder.CONV && shape.dim(0) == 1 && shape.dim(1) == 1;
  }

  /** The four projections of an attention layer in a U-Net. */
  public static final List<String> ATTENTION = List.of("to_q", "to_k", "to_v", "to_out\\.0");

  /**
   * The modules of a model whose name, or its end after a dot, a regular expression matches, as the
   * names of PEFT's target_modules do.
   *
   * @throws ReverieException if an expression is none, or matches no module
   */
  public static Set<String> targets(Parameters model, List<String> expressions) {
    List<String> all = modules(model);
    Set<String> chosen = new LinkedHashSet<>();
    for (String expression : expressions) {
      Pattern pattern;
      try {
        pattern = Pattern.compile("(.*\\.)?(?:" + expression + ")");
      } catch (PatternSyntaxException e) {
        throw new ReverieException(
            "lora: '" + expression + "' is no regular expression: " + e.getDescription(),
            "for example to_q, or attn2\\..*",
            e);
      }
      List<String> found = all.stream().filter(m -> pattern.matcher(m).matches()).toList();
      if (found.isEmpty()) {
        throw new ReverieException(
            "lora: '" + expression + "' matches none of the model's " + all.size() + " modules",
            all.isEmpty() ? "it has no linear layers" : "they are called like " + all.getLast());
      }
      chosen.addAll(found);
    }
    return chosen;
  }

  /** Whether a module is one of an attention layer's four projections in a U-Net. */
  public static boolean isAttentionProjection(String module) {
    return module.matches("(.*\\.)?(" + String.join("|", ATTENTION) + ")");
  }

  private double factor(Adapter adapter) {
    return strength * adapter.size.alpha / adapter.size.rank;
  }

  private Tensor a(Adapter adapter) {
    return active.get(adapter.a.name()).value();
  }

  private Tensor b(Adapter adapter) {
    return active.get(adapter.b.name()).value();
  }

  private Tensor delta(Adapter adapter) {
    Tensor product = b(adapter).matmul(a(adapter)).mul(factor(adapter));
    return adapter.base.axisOrder() == AxisOrder.SAME
        ? product
        : product.transpose().reshape(adapter.base.shape().dims());
  }

  /** One adapter with the values of A and B that are in use. */
  private final class LowRank implements Adaptation {
    /** Products with A and B are bound by memory: an operation takes so many times as long. */
    private static final long MEMORY_BOUND = 8;

    private final Adapter adapter;
    private final boolean addsToOutput;

    LowRank(Adapter adapter) {
      this.adapter = adapter;
      long out = adapter.base.fileShape().dim(0);
      long in = adapter.base.fileShape().dim(1);
      addsToOutput = MEMORY_BOUND * adapter.size.rank * (in + out) < in * out;
    }

    @Override
    public Tensor ofWeight(Tensor weight) {
      return active == null ? weight : weight.add(delta(adapter));
    }

    @Override
    public Tensor ofOutput(Tensor x, Tensor y) {
      if (active == null) {
        return y;
      }
      Tensor low = Ops.linear(x, a(adapter), null);
      return Ops.linear(low, b(adapter).mul(factor(adapter)), null, y);
    }

    @Override
    public boolean addsToOutput() {
      return addsToOutput;
    }
  }

  /**
   * A and B of every adapter, named {@code MODULE.lora_A.weight} and {@code MODULE.lora_B.weight}:
   * what is trained.
   */
  public Parameters parameters() {
    return parameters;
  }

  /** The values of A and B that it computes with at the moment; null for the frozen model alone. */
  public Parameters values() {
    return active;
  }

  /** Every adapter, in the order of their making. */
  public List<Adapter> adapters() {
    return List.copyOf(adapters);
  }

  /** Multiplies what the adapters add; 1 by default. */
  public void setStrength(double strength) {
    this.strength = strength;
  }

  /** Computes with the frozen model alone: the reference model. */
  public <T> T without(Supplier<T> body) {
    return with(null, body);
  }

  /**
   * Computes with other values of A and B, averages for instance.
   *
   * @param others with the names and shapes of {@link #parameters}; null for the frozen model alone
   */
  public <T> T with(Parameters others, Supplier<T> body) {
    Parameters before = active;
    active = others;
    try {
      return body.get();
    } finally {
      active = before;
    }
  }

  /**
   * Adds the adaptation to the weights of a model with the same names, for instance a copy that is
   * to be saved.
   */
  public void addTo(Parameters target) {
    try (Scope _ = Scope.open("lora merge")) {
      Tape.noGradient(() -> {
        for (Adapter adapter : adapters) {
          try (Scope _ = Scope.open("adapter")) {
            Parameter weight = target.get(adapter.base.name());
            weight.write(weight.read().add(delta(adapter)));
          }
        }
        return null;
      });
    }
  }

  /** Takes the adapters off the model and frees them; the model stays frozen. */
  @Override
  public void close() {
    for (int i = 0; i < adapters.size(); i++) {
      adapters.get(i).base.release(adaptations.get(i));
    }
    parameters.close();
  }
}
