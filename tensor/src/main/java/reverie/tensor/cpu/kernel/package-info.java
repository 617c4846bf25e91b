// SPDX-License-Identifier: Apache-2.0
/**
 * What a library of kernels implements, family by family, and what both do in the same way: sizes,
 * element-wise operations of any strides, reductions of any axes.
 */
package reverie.tensor.cpu.kernel;
