// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import reverie.tensor.Interpreter;
import reverie.tensor.Ops;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.cuda.HostCuda;
import reverie.tensor.debug.NanGuard;
import reverie.tensor.graph.CapturedGraph;
import reverie.tensor.op.Attention;
import reverie.tensor.op.AttentionBackward;
import reverie.tensor.op.Conv2dInputGradient;
import reverie.tensor.op.Conv2dWeightGradient;
import reverie.tensor.op.MatMul;
import reverie.tensor.op.UpsampleNearest;

@EnabledIf(value = "reverie.tensor.cuda.HostCuda#isAvailable", disabledReason = HostCuda.REASON)
class ArrangementTest extends ReplayedSteps {
  @Test
  void keepsWhatConvolutionsReadAsHalves() {
    Tensor x = normal(2, 4, 4, 16);
    Tensor gamma = normal(16);
    Tensor beta = normal(16);
    Tensor w = normal(3, 3, 16, 8);
    Tensor one = normal(1, 1, 16, 8);
    Tensor bias = normal(8);
    assertEquals(
        List.of("group_norm_at_once", "epilogue"),
        replayedOne(() -> Ops.conv2d(Ops.groupNormSilu(x, gamma, beta, 4, 1e-5), w, bias, 1, 1)));
    assertEquals(
        List.of("group_norm_at_once", "epilogue"),
        replayedOne(() -> Ops.conv2d(Ops.groupNorm(x, gamma, beta, 4, 1e-5), one, null, 1, 0)));
  }

  @Test
  void roundsOnceWhatOthersReadToo() {
    Tensor x = normal(2, 4, 4, 8);
    Tensor v = normal(3, 3, 8, 8);
    Tensor w = normal(1, 1, 8, 16);
    Tensor bias = normal(8);
    List<String> launched =
        replayed(() -> {
          Tensor wide = Ops.apply(new UpsampleNearest(2), x);
          Tensor same = Ops.conv2d(wide, v, bias, wide, 1, 1);
          return new Tensor[] {same, Ops.conv2d(wide, w, null, 1, 0), wide};
        });
    assertEquals(List.of("upsample_fours", "epilogue", "epilogue"), launched);
  }

  @Test
  void makesOneProductOfQueriesKeysAndValues() {
    Tensor x = normal(2, 6, 16);
    Tensor gamma = normal(16);
    Tensor beta = normal(16);
    Tensor q = normal(16, 16);
    Tensor k = normal(16, 16);
    Tensor v = normal(16, 16);
    Tensor out = normal(16, 16);
    Tensor bias = normal(16);
    Supplier<Tensor> plain =
        () -> {
          Tensor y = Ops.layerNorm(x, gamma, beta, 1e-5);
          Tensor attended =
              Ops.attention(
                  Ops.linear(y, q, null), Ops.linear(y, k, null), Ops.linear(y, v, null), 2, 0.3);
          return Ops.linear(attended, out, bias, x);
        };
    assertEquals(List.of("layer_norm", "attention_halves_8", "epilogue"), replayedOne(plain));
    Supplier<Tensor> biased =
        () -> {
          Tensor y = Ops.layerNorm(x, gamma, beta, 1e-5);
          Tensor attended =
              Ops.attention(
                  Ops.linear(y, q, bias), Ops.linear(y, k, bias), Ops.linear(y, v, gamma), 1, 0.3);
          return Ops.linear(attended, out, bias, x);
        };
    assertEquals(
        List.of("layer_norm", "epilogue", "attention_halves_16", "epilogue"), replayedOne(biased));
  }

  @Test
  void copiesColumnsForThoseWhoWantThemWhole() {
    Tensor x = normal(4, 8);
    Tensor a = normal(16, 8);
    Tensor b = normal(16, 8);
    assertEquals(
        List.of("affine", "epilogue", "copy_strided", "copy_strided", "exp"),
        replayed(() -> {
          Tensor y = x.add(1);
          Tensor first = Ops.linear(y, a, null);
          return new Tensor[] {first, Ops.linear(y, b, null).exp()};
        }));
  }

  @Test
  void joinedWeightsFollowTheirChanges() {
    Tensor x = normal(4, 8);
    Tensor a = normal(16, 8);
    Tensor b = normal(8, 8);
    Supplier<Tensor[]> function =
        () -> {
          Tensor y = x.add(1);
          return new Tensor[] {Ops.linear(y, a, null), Ops.linear(y, b, null)};
        };
    try (Scope _ = Scope.open("changes");
        CapturedGraph step = CapturedGraph.of(device, function)) {
      for (Tensor changed : List.of(a, b)) {
        step.run();
        changed.assign(changed.mul(2));
        step.run();
        Tensor[] expected = function.get();
        for (int i = 0; i < 2; i++) {
          assertArrayEquals(expected[i].toFloats(), step.outputs().get(i).toFloats());
        }
      }
    }
  }

  /** One context for the first predictions of all samples and one for each of the second. */
  @Test
  void readsRepeatedKeysAndBiasesWhereTheyAre() {
    Tensor x = normal(4, 6, 16);
    Tensor context = normal(3, 5, 8);
    Tensor k = normal(16, 8);
    Tensor v = normal(16, 8);
    assertEquals(
        List.of("affine", "attention_narrow", "attention_halves_8"),
        replayedOne(() -> {
          Tensor rows = context.add(1);
          Tensor keys = Ops.repeatFirst(Ops.linear(rows, k, null), 4);
          return Ops.attention(x, keys, Ops.repeatFirst(Ops.linear(rows, v, null), 4), 2, 0.3);
        }));
    Tensor image = normal(4, 3, 3, 8);
    Tensor w = normal(3, 3, 8, 8);
    Tensor time = normal(2, 16);
    Tensor shift = normal(8, 16);
    Tensor bias = normal(8);
    assertEquals(
        List.of("affine", "epilogue", "affine", "epilogue"),
        replayedOne(() -> {
          Tensor each = Ops.repeat(Ops.linear(time.add(1), shift, bias), 4);
          return Ops.conv2d(image.mul(2), w, each, 1, 1);
        }));
    assertEquals(
        List.of("affine", "epilogue", "affine", "epilogue"),
        replayedOne(() -> {
          Tensor each = Ops.repeat(Ops.linear(time.add(1), shift, bias), 4);
          return Ops.conv2d(image.mul(2), w, bias.add(each), image, 1, 1);
        }));
  }

  @Test
  void normsCompleteTheLayersTheyRead() {
    Tensor x = normal(2, 4, 4, 8);
    Tensor w = normal(3, 3, 8, 8);
    Tensor shift = normal(2, 8);
    Tensor gamma = normal(8);
    Tensor beta = normal(8);
    assertEquals(
        List.of("group_norm_at_once", "epilogue"),
        replayedOne(() -> {
          Tensor y = Ops.conv2d(x, w, shift, 1, 1);
          return Ops.conv2d(Ops.groupNormSilu(y, gamma, beta, 2, 1e-5), w, beta, x, 1, 1);
        }));
    Tensor square = normal(8, 8);
    assertEquals(
        List.of("affine", "layer_norm", "epilogue"),
        replayedOne(() -> {
          Tensor tokens = x.mul(2).reshape(2, 16, 8);
          Tensor y = Ops.linear(tokens, square, beta, tokens);
          return Ops.linear(Ops.layerNorm(y, gamma, beta, 1e-5), square, gamma, y);
        }));
  }

  /** A block with a shortcut, of channels that fit fours and others. */
  @Test
  void addsTheBiasOfAShortcutWithTheShortcut() {
    for (int c : new int[] {8, 6}) {
      Tensor x = normal(2, 4, 4, 8);
      Tensor w = normal(3, 3, 8, c);
      Tensor one = normal(1, 1, 8, c);
      Tensor bias = normal(c);
      Tensor gamma = normal(c);
      Tensor time = normal(1, 16);
      Tensor shift = normal(c, 16);
      Tensor matrix = normal(c, c);
      assertEquals(
          List.of("affine", "group_norm_at_once", "epilogue"),
          replayedOne(() -> {
            Tensor y = x.mul(2);
            Tensor shortcut = Ops.conv2d(y, one, gamma, 1, 0);
            Tensor sum = Ops.conv2d(y, w, bias, shortcut, 1, 1);
            return Ops.linear(Ops.groupNorm(sum, gamma, bias, 2, 1e-5), matrix, null);
          }));
      assertEquals(
          List.of("affine", "epilogue", "affine", "epilogue"),
          replayedOne(() -> {
            Tensor each = Ops.repeat(Ops.linear(time.add(1), shift, bias), 2);
            Tensor y = x.mul(2);
            Tensor shortcut = Ops.conv2d(y, one, bias, 1, 0);
            return Ops.conv2d(y, w, gamma.add(each), shortcut, 1, 1);
          }));
      assertEquals(
          List.of("epilogue", "epilogue"),
          replayed(() -> {
            Tensor shortcut = Ops.conv2d(x, one, bias, 1, 0);
            return new Tensor[] {Ops.conv2d(x, w, gamma, shortcut, 1, 1), shortcut};
          }));
    }
  }

  /** Larger images, whose statistics are found in pieces, and channels that do not fit fours. */
  @Test
  void normsCompleteLayersOfAllSizes() {
    for (int[] size : new int[][] {{70, 3, 1}, {9, 44, 2}, {2, 6, 2}}) {
      int side = size[0];
      int c = size[1];
      Tensor x = normal(1, side, side, 4);
      Tensor w = normal(1, 1, 4, c);
      Tensor parameter = normal(c);
      Tensor matrix = normal(c, c);
      for (boolean kept : new boolean[] {false, true}) {
        replayed(() -> {
          Tensor y = Ops.conv2d(x.mul(2), w, parameter, 1, 0);
          Tensor normed = Ops.groupNorm(y, parameter, parameter, size[2], 1e-5);
          Tensor z = Ops.linear(normed, matrix, parameter);
          Tensor again = Ops.layerNorm(z, parameter, parameter, 1e-5);
          return kept ? new Tensor[] {again, y, z} : new Tensor[] {again};
        });
      }
    }
  }

  @Test
  void gradientsHaveTheirBitsToo() {
    Tensor x = normal(2, 4, 4, 8);
    Tensor w = normal(3, 3, 8, 8);
    Tensor dy = normal(2, 4, 4, 8);
    replayed(() -> {
      Tensor g = dy.mul(2);
      return new Tensor[] {
        Ops.apply(new Conv2dInputGradient(1, 1, 4, 4), g, w),
        Ops.apply(new Conv2dWeightGradient(1, 1, 3, 3), x.add(1), g),
        Ops.apply(new MatMul(true), g.reshape(32, 8).transpose(), x.reshape(32, 8))
      };
    });
    Tensor q = normal(2, 5, 16);
    Tensor k = normal(2, 7, 16);
    Tensor gradient = normal(2, 5, 16);
    Tensor square = normal(16, 16);
    List<String> launched =
        replayed(() -> {
          Tensor keys = Ops.linear(k, square, null);
          Tensor values = Ops.linear(k, square, null);
          Tensor[] y = Ops.applyAll(new Attention(0.3, 2), q, keys, values);
          Tensor[] d =
              Ops.applyAll(new AttentionBackward(0.3, 2), q, keys, values, y[0], y[1], gradient);
          return Stream.of(d)
              .map(t -> Ops.apply(new MatMul(true), t.rows(), square))
              .toArray(Tensor[]::new);
        });
    assertEquals(
        List.of(
            "attention_narrow",
            "attention_halves_8",
            "attention_narrow",
            "attention_halves_delta",
            "attention_halves_dq_8",
            "attention_halves_dk_dv_8"),
        launched);
  }

  @Test
  void anotherInterpreterSeesTheFunctionItself() {
    Tensor x = normal(4, 8);
    Tensor a = normal(16, 8);
    Supplier<Tensor[]> function =
        () -> new Tensor[] {Ops.linear(x.add(1), a, null), Ops.linear(x.add(1), a, null).exp()};
    try (Scope _ = Scope.open("guarded");
        CapturedGraph step = CapturedGraph.of(device, function)) {
      Interpreter.with(
          new NanGuard(Interpreter.current()),
          () -> {
            step.run();
            return null;
          });
      assertArrayEquals(function.get()[1].toFloats(), step.outputs().get(1).toFloats());
    }
  }
}
