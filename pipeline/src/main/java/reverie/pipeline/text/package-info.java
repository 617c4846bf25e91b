// SPDX-License-Identifier: Apache-2.0
/** CLIP's tokenizer and text encoder, as Stable Diffusion has them. */
package reverie.pipeline.text;
