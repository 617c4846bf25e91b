// SPDX-License-Identifier: Apache-2.0
/**
 * The claims of papers, tried at the scale of the icon model: which runs a claim needs, carrying
 * them out piece by piece, and what their numbers say of it.
 */
package reverie.app.reproduce;
