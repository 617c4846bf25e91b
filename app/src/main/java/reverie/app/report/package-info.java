// SPDX-License-Identifier: Apache-2.0
/** Pictures, plots, tables and the page that shows a run. */
package reverie.app.report;
