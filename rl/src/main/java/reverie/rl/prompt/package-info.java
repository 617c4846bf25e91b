// SPDX-License-Identifier: Apache-2.0
/** Where prompts come from. */
package reverie.rl.prompt;
