// SPDX-License-Identifier: Apache-2.0
package reverie.bench.step;

import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import reverie.tensor.cuda.driver.Precision;

/**
 * A step of a model on a CUDA device.
 *
 * @param subject the model
 * @param batch number of samples; guidance computes each twice
 * @param kind the step
 * @param precision to what the factors of products are rounded
 */
public record Case(Subject subject, int batch, Kind kind, Precision precision) {
  /** For instance {@code large-64-sampling-bf16}. */
  public String name() {
    return String.format(
        Locale.ROOT, "%s-%d-%s-%s", subject.title(), batch, kind.title(), precision.label());
  }

  /** All whose name contains a text: the fastest precision first, in it the largest model. */
  public static List<Case> named(String text) {
    return Stream.of(Precision.BF16, Precision.TF32, Precision.FLOAT32)
        .flatMap(precision ->
            Stream.of(
                new Case(Subject.SD, 4, Kind.SAMPLING, precision),
                new Case(Subject.SD, 4, Kind.DDPO, precision),
                new Case(Subject.LARGE, 256, Kind.SAMPLING, precision),
                new Case(Subject.LARGE, 256, Kind.DDPO, precision),
                new Case(Subject.LARGE, 64, Kind.SAMPLING, precision),
                new Case(Subject.LARGE, 64, Kind.DDPO, precision),
                new Case(Subject.ICONS, 64, Kind.SAMPLING, precision),
                new Case(Subject.ICONS, 64, Kind.DDPO, precision)))
        .filter(c -> c.name().contains(text))
        .toList();
  }
}
