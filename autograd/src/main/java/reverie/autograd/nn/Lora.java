// SPDX-License-Identifier: Apache-2.0
package reverie.autograd.nn;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import reverie.autograd.Tape;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.io.Safetensors;

/**
 * Low-rank adaptation (Hu et al. 2021): the chosen linear weights W become {@code W + (α/r)·B·A}
 * with {@code A [r, in]}, {@code B [out, r]}, while the model itself is frozen. B starts at zero,
 * so that nothing changes at first; switched off, the model is the reference model again.
 *
 * <p>The sum is formed on the weights, not on the activations: a U-Net's weights are smaller.
 */
public final class Lora implements AutoCloseable {
  private static final String WEIGHT = ".weight";

  /**
   * Rank, α and which modules, by the name without {@code .weight}.
   *
   * @param alpha equal to the rank means a factor of 1
   */
  public record Options(int rank, double alpha, Predicate<String> targets) {
    /** Checks the rank. */
    public Options {
      if (rank < 1 || !(alpha > 0)) {
        throw new ReverieException(
            "lora: expected rank ≥ 1 and alpha > 0, got " + rank + " and " + alpha);
      }
    }

    /** The projections of every attention layer, with α equal to the rank. */
    public static Options attention(int rank) {
      return new Options(rank, rank, Lora::isAttentionProjection);
    }
  }

  private record Adapter(Parameter base, Parameter a, Parameter b) {}

  private final Parameters parameters;
  private final Options options;
  private final List<Adapter> adapters = new ArrayList<>();
  private boolean enabled = true;

  /**
   * Freezes the model and puts adapters on it.
   *
   * @throws ReverieException if no linear weight matches
   */
  public Lora(Parameters model, Options options, Rng rng) {
    this.options = options;
    parameters = Parameters.random(model.device(), rng);
    for (Parameter base : model.all()) {
      String module =
          base.name().endsWith(WEIGHT) ? base.name().replaceFirst("\\.weight$", "") : "";
      if (base.shape().rank() != 2 || !options.targets.test(module)) {
        continue;
      }
      int out = base.shape().dim(0);
      int in = base.shape().dim(1);
      Parameters at = parameters.at(module);
      Parameter a =
          at.create("lora_A.weight", Layout.SAME, Initialiser.fanIn(in), options.rank, in);
      Parameter b = at.create("lora_B.weight", Layout.SAME, Initialiser.zeros(), out, options.rank);
      Adapter adapter = new Adapter(base, a, b);
      adapters.add(adapter);
      base.adapt(weight -> enabled ? weight.add(delta(adapter)) : weight);
    }
    if (adapters.isEmpty()) {
      parameters.close();
      throw new ReverieException(
          "lora: no linear weight of the model is chosen",
          "targets see names like mid_block.attentions.0.to_q");
    }
    model.freeze(_ -> true);
  }

  /** Whether a module is one of an attention layer's four projections. */
  public static boolean isAttentionProjection(String module) {
    return module.matches("(.*\\.)?(to_q|to_k|to_v|to_out\\.0)");
  }

  private Tensor delta(Adapter adapter) {
    return adapter.b.value().matmul(adapter.a.value()).mul(options.alpha / options.rank);
  }

  /**
   * A and B of every adapter, named {@code MODULE.lora_A.weight} and {@code MODULE.lora_B.weight}:
   * what is trained.
   */
  public Parameters parameters() {
    return parameters;
  }

  /** Rank, α and targets. */
  public Options options() {
    return options;
  }

  /** Computes with the frozen model alone: the reference model. */
  public <T> T without(Supplier<T> body) {
    boolean before = enabled;
    enabled = false;
    try {
      return body.get();
    } finally {
      enabled = before;
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
          Tensor weight = target.get(adapter.base.name()).value();
          weight.assign(weight.add(delta(adapter)));
        }
        return null;
      });
    }
  }

  /**
   * Writes A and B as diffusers and PEFT name them. The factor α/r goes into B, because a reader
   * that finds no α takes it to be r.
   *
   * @param prefix before every name: {@code "unet."} where a pipeline loads the file
   */
  public void save(Path path, String prefix) {
    try (Scope _ = Scope.open("lora save")) {
      Map<String, Safetensors.Entry> entries = StateDict.entries(parameters, prefix);
      for (Adapter adapter : adapters) {
        Tensor scaled = adapter.b.value().mul(options.alpha / options.rank);
        entries.put(prefix + adapter.b.name(), Safetensors.Entry.of(scaled));
      }
      Safetensors.write(path, entries, Map.of("format", "pt"));
    }
  }

  /**
   * Reads what {@link #save} or Python's diffusers has written for the same rank and targets.
   *
   * @throws ReverieException if names or shapes differ
   */
  public void load(Path path, String prefix) {
    StateDict.load(
        parameters, path, name -> name.startsWith(prefix) ? name.substring(prefix.length()) : name);
    try (Scope _ = Scope.open("lora load")) {
      for (Adapter adapter : adapters) {
        adapter.b.value().assign(adapter.b.value().mul(options.rank / options.alpha));
      }
    }
  }

  /** Takes the adapters off the model and frees them; the model stays frozen. */
  @Override
  public void close() {
    adapters.forEach(adapter -> adapter.base.adapt(UnaryOperator.identity()));
    parameters.close();
  }
}
