// SPDX-License-Identifier: Apache-2.0
/** The command line: one class a command, and the one place that turns errors into messages. */
package reverie.app.command;
