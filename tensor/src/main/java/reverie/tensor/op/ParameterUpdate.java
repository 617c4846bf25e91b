// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

/**
 * An update of parameters, carried out in place; the last input holds the numbers that all elements
 * share and that vary from step to step.
 */
public sealed interface ParameterUpdate extends ElementWise permits AdamW, Lerp {}
