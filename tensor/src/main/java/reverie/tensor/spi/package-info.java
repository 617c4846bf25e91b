// SPDX-License-Identifier: Apache-2.0

/**
 * What a device needs: a {@link reverie.tensor.spi.Backend}, found by its {@link
 * reverie.tensor.spi.BackendProvider}.
 */
package reverie.tensor.spi;
