// SPDX-License-Identifier: Apache-2.0

/** The command {@code reverie}: where a run starts and how it ends. */
package reverie.app;
