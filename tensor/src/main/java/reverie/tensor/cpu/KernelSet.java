// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu;

import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;
import reverie.tensor.ReverieException;
import reverie.tensor.cpu.c.NativeKernels;
import reverie.tensor.cpu.kernel.KernelLibrary;
import reverie.tensor.cpu.simd.SimdKernels;

/** What the processor's kernels are made of, the fastest first. */
public enum KernelSet {
  /** C, with vectors of 16 floats and the tile unit. */
  AMX,
  /** C, with vectors of 16 floats. */
  AVX512,
  /** C, with vectors of 8 floats. */
  AVX2,
  /** Java's Vector API: any processor, no compiler needed. */
  VECTOR;

  /** As the property {@code reverie.kernels} names it. */
  public String label() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** The kernels; empty if they are not {@linkplain #isAvailable available}. */
  Optional<KernelLibrary> load() {
    return this == VECTOR ? Optional.of(SimdKernels.load()) : NativeKernels.load(label());
  }

  /** Whether a backend can be made of this set here. */
  public boolean isAvailable() {
    return this == VECTOR ? SimdKernels.isAvailable() : NativeKernels.isAvailable(label());
  }

  /** The fastest that works here; {@link #VECTOR} if none does. */
  public static KernelSet fastest() {
    return Arrays.stream(values()).filter(KernelSet::isAvailable).findFirst().orElse(VECTOR);
  }

  /** What the system property {@code reverie.kernels} names, or the fastest that works here. */
  public static KernelSet chosen() {
    String name = System.getProperty("reverie.kernels");
    if (name == null) {
      return fastest();
    }
    return Arrays.stream(values())
        .filter(set -> set.label().equals(name))
        .findFirst()
        .orElseThrow(() ->
            new ReverieException(
                "cpu device: expected reverie.kernels to be amx, avx512, avx2 or vector, got "
                    + name));
  }
}
