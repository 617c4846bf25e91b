// SPDX-License-Identifier: Apache-2.0
/**
 * How likely a diffusion model thinks an image: exactly, by the probability-flow differential
 * equation ({@link reverie.diffusion.likelihood.FlowLikelihood}), and from below, by the chain that
 * is sampled and trained ({@link reverie.diffusion.likelihood.VariationalBound}).
 */
package reverie.diffusion.likelihood;
