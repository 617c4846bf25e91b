// SPDX-License-Identifier: Apache-2.0
package reverie.app.config;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/** The values that a number in a configuration record may have, the ends included. */
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.RECORD_COMPONENT)
public @interface Range {
  /**
   * The smallest value.
   *
   * @return the lower end
   */
  double min();

  /**
   * The largest value.
   *
   * @return the upper end
   */
  double max() default Double.POSITIVE_INFINITY;

  /**
   * Whether the smallest value itself is not allowed.
   *
   * @return true for an open lower end
   */
  boolean above() default false;
}
