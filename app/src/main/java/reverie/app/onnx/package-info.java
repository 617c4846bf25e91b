// SPDX-License-Identifier: Apache-2.0
/** Models in the ONNX format, run by ONNX Runtime. */
package reverie.app.onnx;
