// SPDX-License-Identifier: Apache-2.0
/** Fine-tunes a model by reward: the whole run from configuration to report. */
package reverie.app.finetune;
