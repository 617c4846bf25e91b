// SPDX-License-Identifier: Apache-2.0
package reverie.rl.preference;

import reverie.rl.prompt.Prompt;

/**
 * Two images of one prompt, of which one was preferred.
 *
 * @param prompt what both were made for
 * @param chosen the preferred image as a model sees it: {@code [height, width, channels]} in
 *     row-major order, −1 to 1
 * @param rejected the other
 */
public record Preference(Prompt prompt, float[] chosen, float[] rejected) {}
