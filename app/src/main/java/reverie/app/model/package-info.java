// SPDX-License-Identifier: Apache-2.0
/** Models on the disk, opened for drawing. */
package reverie.app.model;
