// SPDX-License-Identifier: Apache-2.0
/**
 * Diffusion models as policies: noise schedules, timestep grids, the reverse process as a Gaussian
 * policy, guidance, sampling of whole trajectories and the denoising loss. It sees a {@link
 * reverie.diffusion.Denoiser}, never a U-Net.
 */
package reverie.diffusion;
