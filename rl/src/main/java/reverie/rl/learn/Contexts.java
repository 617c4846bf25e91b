// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import reverie.rl.Policy;
import reverie.rl.prompt.Prompt;
import reverie.tensor.Ops;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.op.Copy;

/** The contexts of an epoch's samples, every distinct prompt encoded once. */
public final class Contexts {
  private final Policy policy;
  private Tensor encoded;
  private final int[] rowOf;

  /** Encodes into the open scope. */
  public Contexts(Policy policy, List<Prompt> prompts) {
    this.policy = policy;
    Map<Prompt, Integer> distinct = new HashMap<>();
    List<Prompt> once = new ArrayList<>();
    rowOf = new int[prompts.size()];
    for (int i = 0; i < rowOf.length; i++) {
      rowOf[i] =
          distinct.computeIfAbsent(
              prompts.get(i),
              prompt -> {
                once.add(prompt);
                return once.size() - 1;
              });
    }
    encoded = policy.encoder().encode(once);
  }

  /** Lets them live as long as this scope. */
  public void moveTo(Scope scope) {
    if (encoded != null) {
      encoded = scope.adopt(Ops.apply(new Copy(), encoded));
    }
  }

  /** {@code [samples.length, tokens, dim]}, or null for a model without conditions. */
  public Tensor of(int... samples) {
    if (encoded == null) {
      return null;
    }
    int tokens = encoded.dim(1);
    int dim = encoded.dim(2);
    int[] rows = Arrays.stream(samples).map(sample -> rowOf[sample]).toArray();
    return Ops.embedding(
            encoded.reshape(encoded.dim(0), tokens * dim),
            policy.device().indices(rows, rows.length))
        .reshape(rows.length, tokens, dim);
  }
}
