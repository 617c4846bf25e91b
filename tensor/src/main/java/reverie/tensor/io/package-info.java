// SPDX-License-Identifier: Apache-2.0

/** Safetensors: one file of named tensors, read by memory mapping and written atomically. */
package reverie.tensor.io;
