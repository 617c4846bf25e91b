// SPDX-License-Identifier: Apache-2.0
/**
 * Labelled images to learn from, and the measure of whether a drawn image is what its prompt asked
 * for.
 */
package reverie.app.data;
