// SPDX-License-Identifier: Apache-2.0
/** Which of two images somebody preferred. */
package reverie.rl.preference;
