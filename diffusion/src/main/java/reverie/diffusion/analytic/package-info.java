// SPDX-License-Identifier: Apache-2.0
/**
 * A diffusion model that can be solved on paper: Gaussian data. Whole algorithms are tested against
 * it, because its samples, likelihoods and the optimum of a linear reward are known in closed form.
 */
package reverie.diffusion.analytic;
