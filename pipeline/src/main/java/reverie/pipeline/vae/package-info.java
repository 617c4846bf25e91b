// SPDX-License-Identifier: Apache-2.0
/** The autoencoder between images and the latents of Stable Diffusion. */
package reverie.pipeline.vae;
