// SPDX-License-Identifier: Apache-2.0

/** Rewards, objectives and the trainer. */
module reverie.rl {
  requires commons.math3;
  requires static io.soabase.recordbuilder.core;
  requires transitive java.desktop;
  requires transitive reverie.diffusion;

  exports reverie.rl;
  exports reverie.rl.advantage;
  exports reverie.rl.choice;
  exports reverie.rl.learn;
  exports reverie.rl.objective;
  exports reverie.rl.preference;
  exports reverie.rl.prompt;
  exports reverie.rl.prove;
  exports reverie.rl.reward;
}
