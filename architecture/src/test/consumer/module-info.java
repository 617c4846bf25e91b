// SPDX-License-Identifier: Apache-2.0

/** A program of somebody else, on the module path. */
module consumer {
  requires reverie.diffusion;
  requires reverie.pipeline;
  requires reverie.rl;
  requires reverie.unet;
}
