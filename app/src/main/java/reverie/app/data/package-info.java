// SPDX-License-Identifier: Apache-2.0
/**
 * Labelled pictures to learn from, and the measure of whether a drawn picture is what its prompt
 * asked for.
 */
package reverie.app.data;
