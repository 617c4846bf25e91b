// SPDX-License-Identifier: Apache-2.0
package reverie.unet;

import java.util.function.UnaryOperator;
import reverie.autograd.nn.Embedding;
import reverie.autograd.nn.Linear;
import reverie.autograd.nn.Parameters;
import reverie.autograd.nn.TimestepEmbedding;
import reverie.tensor.ReverieException;
import reverie.tensor.Shape;
import reverie.tensor.Tensor;

/** What a label adds to the embedding of the time: diffusers' {@code class_embedding}. */
final class ClassEmbedding {
  private final int[] labelDims;
  private final boolean whole;
  private final int classes;
  private final UnaryOperator<Tensor> embed;

  /** Makes the layers; {@code config} has labels. */
  ClassEmbedding(Parameters parameters, UNetConfig config, Activation activation) {
    int size = config.timeEmbeddingDim();
    int inputs = config.classInputs();
    classes = inputs;
    whole = config.classLabels() == ClassLabels.CLASSES;
    labelDims =
        switch (config.classLabels()) {
          case PROJECTION -> new int[] {inputs};
          case IDENTITY -> new int[] {size};
          default -> new int[0];
        };
    embed =
        switch (config.classLabels()) {
          case CLASSES -> classes(parameters, inputs, size);
          case TIMESTEP ->
              new TimestepEmbedding(
                      parameters,
                      config.blockOutChannels().getFirst(),
                      size,
                      config.flipSinToCos(),
                      config.freqShift(),
                      activation::apply)
                  ::forward;
          case PROJECTION -> projection(parameters, inputs, size);
          default -> UnaryOperator.identity();
        };
  }

  /** By number, or by the weight of each class. */
  private static UnaryOperator<Tensor> classes(Parameters parameters, int classes, int size) {
    Embedding byNumber = new Embedding(parameters, classes, size);
    return labels -> {
      if (!labels.dtype().isFloating()) {
        return byNumber.forward(labels);
      }
      // Sums instead of a product of matrices, so that one class of weight 1 is exactly its vector.
      Tensor weights = labels.reshape(labels.dim(0), classes, 1);
      return weights.mul(byNumber.vectors().reshape(1, classes, size)).sum(1);
    };
  }

  private static UnaryOperator<Tensor> projection(Parameters parameters, int inputs, int size) {
    Linear first = new Linear(parameters.at("linear_1"), inputs, size, true);
    Linear second = new Linear(parameters.at("linear_2"), size, size, true);
    return labels -> second.forward(first.forward(labels).silu());
  }

  /** From the labels of n samples to {@code [n, timeEmbeddingDim]}. */
  Tensor forward(int n, Tensor labels) {
    boolean fits =
        labels != null
            && (whole && labels.dtype().isFloating()
                ? labels.shape().equals(Shape.of(n, classes))
                : labels.shape().rank() == 1 + labelDims.length
                    && labels.dim(0) == n
                    && (labelDims.length == 0 || labels.dim(1) == labelDims[0])
                    && labels.dtype().isFloating() != whole);
    if (!fits) {
      throw new ReverieException(
          "unet: expected class labels ["
              + n
              + (labelDims.length == 0 ? "" : ", " + labelDims[0])
              + "] "
              + (whole
                  ? "of I32 or weights [" + n + ", " + classes + "]"
                  : "of a floating-point type")
              + ", got "
              + (labels == null ? "none" : labels.type()),
          "the model is conditioned on classes: forward(sample, timesteps, context, labels)");
    }
    return embed.apply(labels);
  }
}
