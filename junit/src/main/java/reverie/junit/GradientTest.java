// SPDX-License-Identifier: Apache-2.0
package reverie.junit;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.TestTemplate;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * A test that runs once for each list of shapes, with a random float64 tensor for each parameter:
 *
 * <pre>{@code
 * @GradientTest({"4x3, 3x2", "1x7, 7x1"})
 * void feedForward(Tensor x, Tensor w) {
 *   assertGradients((a, b) -> a.matmul(b).silu(), x, w);
 * }
 * }</pre>
 *
 * Everything that is made during the test is freed at its end.
 */
@Target(ElementType.METHOD)
@Retention(RetentionPolicy.RUNTIME)
@TestTemplate
@ExtendWith(GradientTestExtension.class)
public @interface GradientTest {
  /** For each run the shapes of all parameters, as in {@code "4x3, 3x2"}; {@code ""} a scalar. */
  String[] value();

  /** The least value of an element; values are uniform. */
  double min() default -1;

  /** The largest value of an element. */
  double max() default 1;

  /** The seed of the values. */
  long seed() default 1;
}
