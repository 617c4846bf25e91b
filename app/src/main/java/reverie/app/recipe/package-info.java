// SPDX-License-Identifier: Apache-2.0
/** What the commands do: whole runs from data to model folder. */
package reverie.app.recipe;
