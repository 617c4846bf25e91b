// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import picocli.CommandLine.ITypeConverter;
import reverie.app.config.ConfigurationException;

/** Reads a relative error, say 1e-3: NaN would let nothing pass, and infinity everything. */
final class ToleranceConverter implements ITypeConverter<Double> {
  @Override
  public Double convert(String value) {
    double tolerance = Double.parseDouble(value);
    if (!(tolerance > 0 && tolerance < 1)) {
      throw new ConfigurationException(
          "--tolerance " + tolerance + ": expected a number between 0 and 1",
          "for example --tolerance 1e-3");
    }
    return tolerance;
  }
}
