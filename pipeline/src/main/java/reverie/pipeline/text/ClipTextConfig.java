// SPDX-License-Identifier: Apache-2.0
package reverie.pipeline.text;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import reverie.unet.ConfigReader;

/**
 * The configuration of a text encoder, from its config.json; what the file leaves out has the
 * default of transformers' {@code CLIPTextConfig}. Ids of special tokens in it are not used: those
 * of Stable Diffusion's files are wrong, and the tokenizer knows them.
 *
 * @param json the whole file
 * @param vocabulary number of tokens
 * @param hidden channels of the states
 * @param intermediate channels inside a feed-forward network
 * @param length tokens of a text
 * @param activation {@code quick_gelu} or {@code gelu}
 */
public record ClipTextConfig(
    String json,
    int vocabulary,
    int hidden,
    int intermediate,
    int layers,
    int heads,
    int length,
    String activation,
    double epsilon) {
  private static final String SUBJECT = "text encoder config";
  private static final Map<String, List<Object>> NEUTRAL =
      Map.of(
          "attention_dropout", List.of(0.0),
          "dropout", List.of(0.0),
          "use_attention_mask", List.of(false));

  /** Reads a config.json. */
  public static ClipTextConfig read(Path file) {
    return ConfigReader.read(SUBJECT, file, ClipTextConfig::parse);
  }

  /** From the text of a config.json. */
  public static ClipTextConfig parse(String json) {
    ConfigReader c = ConfigReader.parse(SUBJECT, json);
    String type = c.text("model_type", "clip_text_model");
    if (!"clip_text_model".equals(type)) {
      throw c.error("model_type", "clip_text_model", type);
    }
    c.refuse(NEUTRAL);
    int hidden = c.count("hidden_size", 512);
    int heads = c.count("num_attention_heads", 8);
    if (hidden % heads != 0) {
      throw c.error("num_attention_heads", "a number that divides hidden_size " + hidden, heads);
    }
    return new ClipTextConfig(
        json,
        c.count("vocab_size", 49408),
        hidden,
        c.count("intermediate_size", 2048),
        c.count("num_hidden_layers", 12),
        heads,
        c.count("max_position_embeddings", 77),
        c.choice("hidden_act", "quick_gelu", List.of("quick_gelu", "gelu")),
        c.number("layer_norm_eps", 1e-5));
  }
}
