// SPDX-License-Identifier: Apache-2.0
/** From a prompt to the states that cross-attention reads. */
package reverie.app.text;
