// SPDX-License-Identifier: Apache-2.0

/** Reverse-mode differentiation, layers and optimizers. */
module reverie.autograd {
  requires transitive reverie.tensor;

  exports reverie.autograd;
  exports reverie.autograd.nn;
  exports reverie.autograd.optim;
}
