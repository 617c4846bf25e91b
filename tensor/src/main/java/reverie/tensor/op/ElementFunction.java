// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

/**
 * A function of single elements: one floating-point result for each place of up to three inputs.
 */
public sealed interface ElementFunction extends ElementWise
    permits Affine, Binary, Clamp, GeluBackward, Power, RoundTo, Select, SiluBackward, Unary {}
