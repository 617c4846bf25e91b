// SPDX-License-Identifier: Apache-2.0
package reverie.unet;

/** What labels a U-Net takes besides samples, times and contexts. */
public enum ClassLabels {
  /** None. */
  NONE,
  /** Numbers of classes, {@code [n]} of I32: {@code num_class_embeds}. */
  CLASSES,
  /** Numbers like timesteps, {@code [n]}: {@code class_embed_type: timestep}. */
  TIMESTEP,
  /** Vectors, {@code [n, size]}: {@code class_embed_type: projection}. */
  PROJECTION,
  /** What is added to the embedding of the time: {@code class_embed_type: identity}. */
  IDENTITY
}
