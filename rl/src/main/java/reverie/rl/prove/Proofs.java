// SPDX-License-Identifier: Apache-2.0
package reverie.rl.prove;

import java.util.List;
import java.util.stream.Stream;

/** Everything that can be proven here. */
public final class Proofs {
  private Proofs() {}

  /** All proofs: of single decisions, of denoising losses, of whole chains, of flows. */
  public static List<Proof> all() {
    return Stream.of(
            StepProofs.all(),
            DenoisingProofs.all(),
            ChainProofs.all(),
            ForwardProofs.all(),
            FlowProofs.all(),
            List.<Proof>of(new TwoPasses()))
        .flatMap(List::stream)
        .toList();
  }
}
