// SPDX-License-Identifier: Apache-2.0
/** From rewards to advantages. */
package reverie.rl.advantage;
