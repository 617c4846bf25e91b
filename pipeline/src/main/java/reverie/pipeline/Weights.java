// SPDX-License-Identifier: Apache-2.0
package reverie.pipeline;

import java.nio.file.Path;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import reverie.autograd.nn.Parameters;
import reverie.autograd.nn.StateDict;
import reverie.tensor.Device;
import reverie.tensor.io.WeightFiles;

/** Models from the weights in a part's folder. */
final class Weights {
  private Weights() {}

  /**
   * Builds a model and fills it. Names and shapes are compared before any memory is asked for: a
   * configuration may claim anything.
   *
   * @param folder of the part
   * @param name of the weights without an ending
   * @param model on its parameters
   * @param toParameter from a name in the file to a parameter's, or null to pass over it
   */
  static <M> M load(
      Path folder,
      String name,
      Function<Parameters, M> model,
      UnaryOperator<String> toParameter,
      Device device) {
    Path file = WeightFiles.find(folder, name);
    try (Parameters shapes = Parameters.shapesOnly()) {
      model.apply(shapes);
      StateDict.check(shapes, file, toParameter);
    }
    Parameters parameters = Parameters.zeros(device);
    try {
      M built = model.apply(parameters);
      StateDict.load(parameters, file, toParameter);
      return built;
    } catch (RuntimeException e) {
      parameters.close();
      throw e;
    }
  }
}
