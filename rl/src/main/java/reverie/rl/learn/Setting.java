// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/** Where a component of {@link TrainerSettings} stands in a configuration. */
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.RECORD_COMPONENT)
public @interface Setting {
  /** The key, with dots between groups: {@code update.passes}. */
  String value();
}
