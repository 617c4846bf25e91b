// SPDX-License-Identifier: Apache-2.0

/**
 * The command {@code reverie bench}: single operations by JMH, and whole steps beside other
 * engines.
 */
package reverie.bench;
