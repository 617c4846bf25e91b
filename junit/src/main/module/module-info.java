// SPDX-License-Identifier: Apache-2.0

/** Gradient checks as JUnit tests. */
module reverie.junit {
  requires transitive reverie.autograd;
  requires transitive org.junit.jupiter.api;

  exports reverie.junit;
}
