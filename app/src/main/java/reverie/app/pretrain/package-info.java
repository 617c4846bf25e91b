// SPDX-License-Identifier: Apache-2.0
/** Makes a base model from images and their prompts. */
package reverie.app.pretrain;
