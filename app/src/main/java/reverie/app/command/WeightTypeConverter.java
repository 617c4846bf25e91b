// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import picocli.CommandLine.ITypeConverter;
import reverie.app.config.WeightType;

/** Understands the short names too. */
final class WeightTypeConverter implements ITypeConverter<WeightType> {
  @Override
  public WeightType convert(String value) {
    return WeightType.of(value);
  }
}
