// SPDX-License-Identifier: Apache-2.0

/** A user's program, on the module path. */
module consumer {
  requires reverie.diffusion;
  requires reverie.pipeline;
  requires reverie.rl;
  requires reverie.unet;
}
