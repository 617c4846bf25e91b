// SPDX-License-Identifier: Apache-2.0
/** Images, plots, tables and the page that shows a run. */
package reverie.app.report;
