// SPDX-License-Identifier: Apache-2.0
package reverie.autograd.optim;

import java.util.Map;
import reverie.tensor.Tensor;

/**
 * All that a training remembers from step to step.
 *
 * @param tensors by name: weights, moments, averages
 * @param counters by name: steps made
 */
public record TrainingState(Map<String, Tensor> tensors, Map<String, Long> counters) {}
