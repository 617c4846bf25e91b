// SPDX-License-Identifier: Apache-2.0
/** Files of low-rank adapters, as diffusers, kohya's scripts and ComfyUI read them. */
package reverie.pipeline.lora;
