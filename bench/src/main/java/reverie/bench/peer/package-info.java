// SPDX-License-Identifier: Apache-2.0

/** The same operations and steps on LibTorch and PyTorch, as near to ours as they can be made. */
package reverie.bench.peer;
