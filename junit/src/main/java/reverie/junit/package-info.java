// SPDX-License-Identifier: Apache-2.0

/**
 * Gradient checks of your own functions and operations as JUnit tests: {@link
 * reverie.junit.GradientTest} makes inputs of the shapes it names, {@link
 * reverie.junit.GradientAssertions} compares gradients with finite differences.
 */
package reverie.junit;
