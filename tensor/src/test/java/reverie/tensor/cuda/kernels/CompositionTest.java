// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import reverie.tensor.Ops;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.catalog.OpCatalog;
import reverie.tensor.catalog.Sample;
import reverie.tensor.cuda.HostCuda;
import reverie.tensor.op.ElementFunction;
import reverie.tensor.op.Op;

@EnabledIf(value = "reverie.tensor.cuda.HostCuda#isAvailable", disabledReason = HostCuda.REASON)
class CompositionTest extends ReplayedSteps {
  /** Broadcast, strided and odd operands among them. */
  @Test
  void everyFunctionHasItsOwnBits() {
    Map<Op, Integer> samples = new HashMap<>();
    for (Sample sample : OpCatalog.samples()) {
      long size = sample.inputs().stream().mapToLong(x -> x.shape().size()).max().orElse(0);
      if (sample.op() instanceof ElementFunction
          && size > 0
          && size < 200
          && samples.merge(sample.op(), 1, Integer::sum) <= 2) {
        try (Scope _ = Scope.open("sample")) {
          Tensor[] inputs = sample.inputs(device);
          List<String> launched =
              replayed(() -> {
                Tensor y = Ops.apply(sample.op(), inputs);
                return new Tensor[] {y, y.neg()};
              });
          assertEquals(List.of("composed"), launched, sample.label());
        }
      }
    }
    assertTrue(samples.size() > 30, samples.toString());
  }

  /** What a step of DDIM does with both predictions of guidance. */
  @Test
  void isOnePassOverImagesOfCoefficientsOfTheirOwn() {
    Tensor both = normal(6, 3, 5, 2);
    Tensor x = normal(3, 3, 5, 2);
    Tensor numbers = normal(3, 2, 1, 1);
    assertEquals(
        List.of("composed"),
        replayedOne(() -> {
          Tensor first = both.slice(0, 0, 3);
          Tensor second = both.slice(0, 3, 6);
          Tensor guided = first.add(second.sub(first).mul(3));
          Tensor a = numbers.slice(1, 0, 1);
          Tensor b = numbers.slice(1, 1, 2);
          return x.mul(a).add(guided.mul(b)).add(x.mul(guided));
        }));
  }

  @Test
  void writesWhatOthersReadInBothTypes() {
    Tensor x = normal(4, 8);
    Tensor w = normal(8, 8);
    assertEquals(
        List.of("composed", "epilogue"),
        replayed(() -> {
          Tensor y = x.exp();
          Tensor z = y.mul(x).add(y);
          return new Tensor[] {Ops.linear(z, w, null), z};
        }));
  }

  @Test
  void beginsAnewWhereOnePassHasNoRoom() {
    Tensor x = normal(3, 7);
    // 17 functions.
    assertEquals(
        List.of("composed", "affine"),
        replayedOne(() -> {
          Tensor y = x;
          for (int i = 0; i <= Composed.MAX_PARTS; i++) {
            y = y.add(i);
          }
          return y;
        }));
    // Nine tensors.
    List<Tensor> many = Stream.generate(() -> normal(3, 7)).limit(Composed.MAX_INPUTS + 1).toList();
    assertEquals(
        List.of("composed", "add"),
        replayedOne(() -> many.stream().reduce(Tensor::add).orElseThrow()));
    // Five results that are read later.
    assertEquals(
        List.of("composed", "add"),
        replayedOne(() -> {
          List<Tensor> held = new ArrayList<>();
          for (int i = 0; i <= Composed.SLOTS; i++) {
            held.add(x.mul(i + 2));
          }
          return held.reversed().stream().reduce(Tensor::add).orElseThrow();
        }));
    // Another shape, a part and another order of what is not there yet.
    Tensor other = normal(7, 3);
    assertEquals(
        List.of("exp", "exp", "exp", "composed"),
        replayed(() -> {
          Tensor y = x.exp();
          Tensor row = y.slice(0, 1, 2).exp();
          Tensor turned = y.exp().transpose().exp();
          return new Tensor[] {row, turned, other.add(turned)};
        }));
  }

  /** A tensor that is written where it is keeps the order of its readers. */
  @Test
  void leavesUpdatesWhereTheyAre() {
    Tensor total = normal(5);
    Tensor x = normal(5);
    replayed(() -> {
      Tensor before = total.add(x);
      total.assign(x);
      return new Tensor[] {before.add(total), total.mul(x).exp()};
    });
  }
}
