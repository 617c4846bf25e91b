// SPDX-License-Identifier: Apache-2.0
/** Measures models: rewards on fixed prompts and seeds, likelihoods, preferences. */
package reverie.app.evaluate;
