// SPDX-License-Identifier: Apache-2.0
/** What a run leaves behind: its folder, files, metrics, progress and how it is stopped. */
package reverie.app.run;
