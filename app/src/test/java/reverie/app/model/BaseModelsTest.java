// SPDX-License-Identifier: Apache-2.0
package reverie.app.model;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;
import reverie.app.data.DataSet;
import reverie.app.data.ImageSize;
import reverie.app.text.MiniLm;
import reverie.diffusion.Prediction;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.Scope;

class BaseModelsTest {
  @Test
  void everyShippedModelIsRead() {
    for (String name : BaseModels.SHIPPED) {
      try (ModelFolder model = BaseModels.read(name, new MiniLm(), Device.cpu(), DType.F32);
          Scope _ = Scope.open("test")) {
        Prediction prediction =
            name.equals("icons-flow") ? Prediction.FLOW : Prediction.V_PREDICTION;
        assertEquals(prediction, model.scheduler().prediction());
        assertEquals(ImageSize.square(16), BaseModels.size(model));
        DataSet data = name.equals("nouns") ? DataSet.NOUNS : DataSet.ICONS;
        assertEquals(data, model.prompts().data());
      }
    }
  }
}
