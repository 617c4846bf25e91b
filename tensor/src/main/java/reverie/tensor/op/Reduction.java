// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

/** An operation that brings many elements down to one. */
public sealed interface Reduction extends Op
    permits AveragePool, EuclideanNorm, GaussianLogProb, Reduce {}
