// SPDX-License-Identifier: Apache-2.0

/** Noise schedules, the reverse process as a Gaussian policy, and likelihoods. */
module reverie.diffusion {
  requires commons.math3;
  requires static io.soabase.recordbuilder.core;
  requires transitive reverie.autograd;
  requires transitive tools.jackson.databind;

  exports reverie.diffusion;
  exports reverie.diffusion.analytic;
  exports reverie.diffusion.likelihood;
}
