// SPDX-License-Identifier: Apache-2.0
package reverie.pipeline.lora;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import reverie.autograd.nn.AxisOrder;
import reverie.autograd.nn.Lora;
import reverie.autograd.nn.Parameters;
import reverie.tensor.DType;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.Shape;
import reverie.tensor.Tensor;
import reverie.tensor.io.Safetensors;

/**
 * Files of low-rank adapters of a pipeline's parts, which are called {@value #UNET} and {@value
 * #TEXT_ENCODER}.
 */
public final class LoraFile {
  /** The name under which diffusers looks for one in a folder. */
  public static final String NAME = "pytorch_lora_weights.safetensors";

  /** The denoiser. */
  public static final String UNET = "unet";

  /** The text encoder. */
  public static final String TEXT_ENCODER = "text_encoder";

  /** Whose names are written. */
  public enum Format {
    /**
     * {@code unet.MODULE.lora_A.weight}, as today's diffusers and PEFT write them. The factor α/r
     * is in B, because readers that do not look at metadata take it to be 1; α in the metadata is
     * r.
     */
    DIFFUSERS,
    /** {@code lora_unet_MODULE.lora_down.weight} with {@code .alpha}, as kohya's scripts do. */
    KOHYA
  }

  private LoraFile() {}

  /**
   * Writes adapters in one piece, with the values that they compute with at the moment.
   *
   * @param parts by name
   * @param dtype {@code F32}, {@code F16} or {@code BF16}
   */
  public static void write(Path path, Map<String, Lora> parts, Format format, DType dtype) {
    Map<String, Safetensors.Entry> entries = new LinkedHashMap<>();
    try (Scope _ = Scope.open("lora file")) {
      parts.forEach((part, lora) -> {
        for (Lora.Adapter adapter : lora.adapters()) {
          Tensor a = lora.values().get(adapter.a().name()).value();
          Tensor b = lora.values().get(adapter.b().name()).value();
          Lora.Size size = adapter.size();
          if (format == Format.KOHYA) {
            String name = LoraNames.kohyaPrefix(part) + LoraNames.underscored(adapter.module());
            entries.put(name + ".lora_down.weight", entry(a, adapter, dtype));
            entries.put(name + ".lora_up.weight", entry(b, adapter, dtype));
            entries.put(
                name + ".alpha", new Safetensors.Entry(dtype, Shape.of(), (float) size.alpha()));
          } else {
            String name = part + "." + adapter.module();
            entries.put(name + ".lora_A.weight", entry(a, adapter, dtype));
            entries.put(
                name + ".lora_B.weight", entry(b.mul(size.alpha() / size.rank()), adapter, dtype));
          }
        }
      });
    }
    Safetensors.write(path, entries, LoraMetadata.of(parts, format));
  }

  /** A convolution's adapters are convolutions in files. */
  private static Safetensors.Entry entry(Tensor matrix, Lora.Adapter adapter, DType dtype) {
    Shape shape = matrix.shape();
    if (adapter.base().axisOrder() == AxisOrder.CONV) {
      shape = Shape.of(shape.dim(0), shape.dim(1), 1, 1);
    }
    return new Safetensors.Entry(dtype, shape, matrix.toFloats());
  }

  /**
   * The parameter of a {@link Lora} on a part that a tensor of a file belongs to; empty for none.
   *
   * @param name in the file, of any of the formats that are read
   */
  public static Optional<String> parameterName(String name, String part, Parameters parameters) {
    return new LoraNames(Map.of(part, parameters))
        .find(name)
        .filter(place -> place.role() != LoraNames.Role.ALPHA)
        .map(place ->
            place.module()
                + (place.role() == LoraNames.Role.DOWN ? ".lora_A.weight" : ".lora_B.weight"));
  }

  /**
   * Puts a file's adapters on a pipeline's parts, each with the rank and α that it has there. What
   * is said of α: its tensor, else the metadata of diffusers, else that it is the rank.
   *
   * @param parts their parameters by name; the first is meant where a file names no part
   * @return the adapters of each part that has some
   * @throws ReverieException if the file is of another kind or belongs to another model
   */
  public static Map<String, Lora> read(Path path, Map<String, Parameters> parts) {
    try (Safetensors file = Safetensors.open(path)) {
      return new LoraReader(path, file, parts).read();
    }
  }
}
