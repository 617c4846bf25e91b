// SPDX-License-Identifier: Apache-2.0
/**
 * Stable Diffusion 1.x and 2.x as folders of diffusers hold them: {@link
 * reverie.pipeline.StableDiffusion} reads and writes one whole.
 */
package reverie.pipeline;
