// SPDX-License-Identifier: Apache-2.0
/** Settings from defaults, presets, files and the command line, with errors that help. */
package reverie.app.config;
