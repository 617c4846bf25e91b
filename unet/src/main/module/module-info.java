// SPDX-License-Identifier: Apache-2.0

/** The U-Nets of diffusers. */
module reverie.unet {
  requires transitive reverie.autograd;
  requires transitive tools.jackson.databind;

  exports reverie.unet;
}
