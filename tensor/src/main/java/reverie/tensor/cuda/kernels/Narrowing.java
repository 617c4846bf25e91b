// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import reverie.tensor.DType;
import reverie.tensor.Storage;
import reverie.tensor.Tensor;
import reverie.tensor.op.Copy;
import reverie.tensor.op.Op;
import reverie.tensor.spi.Step;

/**
 * Keeps tensors of a captured step as bfloat16 where nobody sees a difference: where all that read
 * them round to bfloat16 anyway, and what makes them can write it. What others read too is written
 * in both types, or rounded once for all that round it if what makes it can write but one.
 */
final class Narrowing {
  /** Elements of bfloat16 in 16 bytes, to multiples of which operands are aligned. */
  private static final int ALIGNED = 8;

  private final Operations operations;
  private final Abilities abilities;
  private final Set<Storage> kept;

  /** Memory that is made inside the step, and what is known of it. */
  private static final class Made {
    private final Tensor whole;
    private final boolean narrows;
    private int writers;
    private boolean rounded;
    private boolean read;

    /** What holds it as bfloat16 if something does. */
    private final Storage half;

    Made(Tensor whole, boolean narrows) {
      this.whole = whole;
      this.narrows = narrows;
      half = Storage.meta(DType.BF16.bytes() * whole.size());
    }
  }

  private final Map<Storage, Made> all = new HashMap<>();

  private Narrowing(Operations operations, Abilities abilities, Set<Storage> kept) {
    this.operations = operations;
    this.abilities = abilities;
    this.kept = kept;
  }

  /**
   * The same steps.
   *
   * @param kept what must stay as it is
   */
  static List<Step> of(
      Operations operations, Abilities abilities, List<Step> steps, Set<Storage> kept) {
    Narrowing narrowing = new Narrowing(operations, abilities, kept);
    steps.forEach(narrowing::note);
    return narrowing.arranged(steps);
  }

  private void note(Step step) {
    for (int i = 0; i < step.inputs().length; i++) {
      Made made = all.get(step.inputs()[i].storage());
      if (made != null) {
        boolean rounds = rounds(step, i);
        made.rounded |= rounds;
        made.read |= !rounds;
      }
    }
    for (int i = 0; i < step.outputs().length; i++) {
      Tensor y = step.outputs()[i];
      if (y.storage().isMeta()) {
        boolean whole = y.offset() == 0 && y.type().bytes() == y.storage().bytes();
        boolean narrows = whole && abilities.of(step).narrow().contains(i);
        Made made = all.computeIfAbsent(y.storage(), _ -> new Made(y, narrows));
        made.writers += whole ? 1 : 2;
      }
    }
  }

  private boolean rounds(Step step, int input) {
    return step.inputs()[input].offset() % ALIGNED == 0
        && abilities.of(step).rounded().contains(input);
  }

  /** Whether it is kept as bfloat16 alone. */
  private boolean isNarrow(Storage storage) {
    return isReadAsHalf(storage) && all.get(storage).narrows;
  }

  /** Whether nobody reads it as float32. */
  private boolean isReadAsHalf(Storage storage) {
    return isRounded(storage) && !all.get(storage).read && !kept.contains(storage);
  }

  /** Whether there is a tensor of bfloat16 for those that round it. */
  private boolean isRounded(Storage storage) {
    Made made = all.get(storage);
    return made != null && made.writers == 1 && made.rounded;
  }

  private List<Step> arranged(List<Step> steps) {
    List<Step> arranged = new ArrayList<>();
    for (Step step : steps) {
      Tensor[] inputs = step.inputs().clone();
      for (int i = 0; i < inputs.length; i++) {
        if (isRounded(inputs[i].storage()) && rounds(step, i)) {
          inputs[i] = half(inputs[i]);
        }
      }
      List<Tensor> outputs = new ArrayList<>();
      List<Tensor> rounded = new ArrayList<>();
      for (Tensor y : step.outputs()) {
        boolean narrow = isNarrow(y.storage());
        outputs.add(narrow ? half(y) : y);
        if (isRounded(y.storage()) && !narrow) {
          rounded.add(y);
        }
      }
      if (rounded.contains(step.outputs()[0]) && abilities.of(step).both()) {
        outputs.add(half(rounded.removeFirst()));
      }
      Tensor[] written = outputs.toArray(Tensor[]::new);
      Op op = step.op();
      if (op instanceof Completed completed && isReadAsHalf(step.outputs()[0].storage())) {
        op = completed.withoutX();
      }
      long scratch = operations.scratchBytes(op, inputs, written);
      arranged.add(new Step(op, inputs, written, scratch));
      for (Tensor y : rounded) {
        arranged.add(new Step(new Copy(), new Tensor[] {y}, new Tensor[] {half(y)}, 0));
      }
    }
    return arranged;
  }

  private Tensor half(Tensor x) {
    return x.withStorage(all.get(x.storage()).half, DType.BF16);
  }
}
