// SPDX-License-Identifier: Apache-2.0
package reverie.app.finetune;

import java.util.LinkedHashMap;
import java.util.Map;
import reverie.app.data.ImageSet;
import reverie.app.data.ImageSize;
import reverie.app.model.ModelFolder;
import reverie.rl.preference.Preference;
import reverie.rl.preference.PreferenceDataset;
import reverie.tensor.Device;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * Preferences between images for a model that draws grey ones, or latents: the means that its
 * autoencoder makes of them. To encode takes long, so the latents of the pairs asked for last are
 * kept.
 */
final class EncodedPreferences implements PreferenceDataset {
  /** Half a gigabyte of latents of 512×512 pixels. */
  private static final int KEPT = 4096;

  private final PreferenceDataset images;
  private final ModelFolder model;
  private final ImageSize size;
  private final Device device;
  private final Map<Integer, Preference> latents =
      new LinkedHashMap<>(16, 0.75f, true) {
        private static final long serialVersionUID = 1;

        @Override
        protected boolean removeEldestEntry(Map.Entry<Integer, Preference> eldest) {
          return size() > KEPT;
        }
      };

  /** Of images of this size. */
  EncodedPreferences(PreferenceDataset images, ModelFolder model, ImageSize size, Device device) {
    this.images = images;
    this.model = model;
    this.size = size;
    this.device = device;
  }

  @Override
  public int size() {
    return images.size();
  }

  @Override
  public Preference get(int index) {
    return latents.computeIfAbsent(index, i -> encode(images.get(i)));
  }

  private Preference encode(Preference pair) {
    return new Preference(pair.prompt(), encode(pair.chosen()), encode(pair.rejected()));
  }

  private float[] encode(float[] pixels) {
    try (Scope _ = Scope.open("latents")) {
      Tensor image = device.tensor(pixels, 1, size.height(), size.width(), ImageSet.CHANNELS);
      return model.encode(image).toFloats();
    }
  }

  @Override
  public String identity() {
    return images.identity();
  }
}
