// SPDX-License-Identifier: Apache-2.0

/**
 * The U-Nets of diffusers: {@code UNet2DModel} and {@code UNet2DConditionModel} from their {@code
 * config.json} and weights, in the same names and order of layers.
 */
package reverie.unet;
