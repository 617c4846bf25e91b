// SPDX-License-Identifier: Apache-2.0

/** Programs to start from, each built and run by the tests. */
package reverie.examples;
