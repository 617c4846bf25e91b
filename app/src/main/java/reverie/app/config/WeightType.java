// SPDX-License-Identifier: Apache-2.0
package reverie.app.config;

import com.fasterxml.jackson.annotation.JsonCreator;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import reverie.tensor.DType;

/** In what weights are held in memory, or written. */
public enum WeightType {
  /** As they are computed with. */
  FLOAT32(DType.F32, "fp32"),
  /** Half of the memory, as exact as files of this type. */
  FLOAT16(DType.F16, "fp16"),
  /** Half of the memory and the range of float32, but 8 bits of precision. */
  BFLOAT16(DType.BF16, "bf16");

  private final DType dtype;
  private final String alias;

  WeightType(DType dtype, String alias) {
    this.dtype = dtype;
    this.alias = alias;
  }

  /** The type of tensors. */
  public DType dtype() {
    return dtype;
  }

  /** The one of this name, or of its short one: {@code bf16}. */
  @JsonCreator
  public static WeightType of(String name) {
    String lower = name.toLowerCase(Locale.ROOT);
    return Arrays.stream(values())
        .filter(type -> type.toString().equals(lower) || type.alias.equals(lower))
        .findFirst()
        .orElseThrow(() ->
            new ConfigurationException(
                "weights: expected one of " + List.of(values()) + ", got '" + name + "'",
                "fp32, fp16 and bf16 are understood too"));
  }

  /** The name in configurations. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
