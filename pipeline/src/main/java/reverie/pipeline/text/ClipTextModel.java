// SPDX-License-Identifier: Apache-2.0
package reverie.pipeline.text;

import java.util.ArrayList;
import java.util.List;
import reverie.autograd.nn.Embedding;
import reverie.autograd.nn.Initialiser;
import reverie.autograd.nn.LayerNorm;
import reverie.autograd.nn.Parameters;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Tensor;

/**
 * The text encoder of Stable Diffusion, transformers' {@code CLIPTextModel}: a transformer in which
 * every token sees itself and those before it, padding included. Parameter names are those of
 * transformers.
 */
public final class ClipTextModel implements AutoCloseable {
  /** A table of positions that files of older versions hold. */
  private static final String POSITION_IDS = "text_model.embeddings.position_ids";

  private final ClipTextConfig config;
  private final Parameters parameters;
  private final Embedding tokens;
  private final Embedding positions;
  private final List<ClipTextLayer> layers = new ArrayList<>();
  private final LayerNorm finalNorm;
  private final Tensor mask;

  /** A model on these parameters, which it makes, or finds in a copy, and from then on owns. */
  public ClipTextModel(ClipTextConfig config, Parameters parameters) {
    this.config = config;
    this.parameters = parameters;
    Parameters at = parameters.at("text_model");
    tokens =
        new Embedding(at.at("embeddings.token_embedding"), config.vocabulary(), config.hidden());
    positions =
        new Embedding(at.at("embeddings.position_embedding"), config.length(), config.hidden());
    for (int i = 0; i < config.layers(); i++) {
      layers.add(new ClipTextLayer(at.at("encoder.layers", i), config));
    }
    finalNorm = new LayerNorm(at.at("final_layer_norm"), config.hidden(), config.epsilon());
    mask = parameters.constant(causal(config.length()), config.length(), config.length());
  }

  /** 0 where a token may look, and what leaves nothing of an exponential where it may not. */
  private static Initialiser causal(int length) {
    return (device, _, dims) -> {
      float[] values = new float[length * length];
      for (int from = 0; from < length; from++) {
        for (int to = from + 1; to < length; to++) {
          values[from * length + to] = -Float.MAX_VALUE;
        }
      }
      return device.tensor(values, dims);
    };
  }

  /** The parameter that a tensor of a file belongs to; null for none. */
  public static String parameterName(String name) {
    return name.equals(POSITION_IDS) ? null : name;
  }

  /** The configuration. */
  public ClipTextConfig config() {
    return config;
  }

  /** All parameters under transformers' names. */
  public Parameters parameters() {
    return parameters;
  }

  /**
   * What the U-Net is conditioned on, of texts: {@code [n, tokens, hidden]}, after the final norm.
   *
   * @param ids I32 {@code [n, tokens]}
   */
  public Tensor forward(Tensor ids) {
    return last(states(ids));
  }

  /**
   * The states before the first layer and after each, without the final norm.
   *
   * @param ids I32 {@code [n, tokens]}
   */
  public List<Tensor> states(Tensor ids) {
    if (ids.shape().rank() != 2 || ids.dim(1) > config.length()) {
      throw new ReverieException(
          "text encoder: expected token ids [n, at most "
              + config.length()
              + "], got "
              + ids.type());
    }
    return layers(embeddings(ids));
  }

  /**
   * The states before the first layer: what tokens are and where they stand.
   *
   * @param ids I32 {@code [n, tokens]}
   * @return {@code [n, tokens, hidden]}
   */
  public Tensor embeddings(Tensor ids) {
    int length = ids.dim(1);
    int[] order = new int[length];
    for (int i = 0; i < length; i++) {
      order[i] = i;
    }
    Tensor position = positions.forward(ids.device().indices(order, length));
    return tokens.forward(ids).add(position);
  }

  /** What {@link #forward} makes of texts with these {@link #embeddings}. */
  public Tensor encode(Tensor embeddings) {
    return last(layers(embeddings));
  }

  private List<Tensor> layers(Tensor embeddings) {
    int length = embeddings.dim(1);
    Tensor causal = mask.slice(0, 0, length).slice(1, 0, length);
    List<Tensor> states = new ArrayList<>();
    states.add(embeddings);
    for (ClipTextLayer layer : layers) {
      states.add(layer.forward(states.getLast(), causal));
    }
    return states;
  }

  /** The final norm of the last of {@link #states}. */
  public Tensor last(List<Tensor> states) {
    return finalNorm.forward(states.getLast());
  }

  /**
   * The state of each text's first largest id, which is its end: {@code [n, hidden]}. The U-Net of
   * Stable Diffusion does not use it.
   *
   * @param last from {@link #last}
   * @param ids I32 {@code [n, tokens]}
   */
  public Tensor pooled(Tensor last, Tensor ids) {
    int[] values = ids.toInts();
    int length = ids.dim(1);
    Tensor[] rows = new Tensor[ids.dim(0)];
    for (int i = 0; i < rows.length; i++) {
      int end = 0;
      for (int t = 1; t < length; t++) {
        end = values[i * length + t] > values[i * length + end] ? t : end;
      }
      rows[i] = last.slice(0, i, i + 1).slice(1, end, end + 1).reshape(1, last.dim(2));
    }
    return Ops.concat(0, rows);
  }

  /** Frees the parameters. */
  @Override
  public void close() {
    parameters.close();
  }
}
