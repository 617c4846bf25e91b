// SPDX-License-Identifier: Apache-2.0
/** The rewards that Reverie comes with, and servers that score images over HTTP. */
package reverie.app.reward;
