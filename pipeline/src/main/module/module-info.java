// SPDX-License-Identifier: Apache-2.0

/** Stable Diffusion's pipelines: text encoders, autoencoder and LoRA files around a U-Net. */
module reverie.pipeline {
  requires transitive reverie.diffusion;
  requires transitive reverie.unet;
  requires transitive tools.jackson.databind;

  exports reverie.pipeline;
  exports reverie.pipeline.lora;
  exports reverie.pipeline.text;
  exports reverie.pipeline.vae;
}
