// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import picocli.CommandLine.ITypeConverter;
import reverie.app.config.ConfigurationException;
import reverie.app.data.ImageSize;
import reverie.tensor.ReverieException;

/** Reads 512, or 768x512. */
final class ImageSizeConverter implements ITypeConverter<ImageSize> {
  @Override
  public ImageSize convert(String value) {
    try {
      return ImageSize.of(value);
    } catch (ReverieException e) {
      String[] message = e.getMessage().split("\nhint: ", 2);
      throw new ConfigurationException("--size: " + message[0], message[1]);
    }
  }
}
