// SPDX-License-Identifier: Apache-2.0

/** Rewards from outside the library: servers that score images over HTTP. */
package reverie.app.reward;
