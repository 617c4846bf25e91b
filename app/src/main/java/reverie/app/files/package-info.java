// SPDX-License-Identifier: Apache-2.0
/** Files as such: written whole or not at all, and JSON whose damage is one error. */
package reverie.app.files;
