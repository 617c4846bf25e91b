// SPDX-License-Identifier: Apache-2.0
/** People choose between images in a browser. */
package reverie.app.choose;
