// SPDX-License-Identifier: Apache-2.0
package reverie.app.reward;

import java.io.IOException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import reverie.app.files.AtomicFile;
import reverie.app.files.JsonFile;
import reverie.tensor.ReverieException;
import reverie.tensor.io.JsonText;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.MapperFeature;
import tools.jackson.databind.PropertyNamingStrategies;
import tools.jackson.databind.exc.UnrecognizedPropertyException;
import tools.jackson.dataformat.yaml.YAMLMapper;

/**
 * What an ONNX model needs to be a reward: a small YAML file beside it, explained in {@code
 * docs/rewards.md}.
 *
 * @param image how images are prepared
 * @param text how prompts become tokens; null where no model reads them
 * @param models one after the other
 * @param score how their results become a number
 */
record OnnxSpec(Image image, Text text, List<Model> models, Score score) {
  private static final YAMLMapper YAML =
      YAMLMapper.builder()
          .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
          .disable(MapperFeature.ALLOW_COERCION_OF_SCALARS)
          .enable(MapperFeature.ACCEPT_CASE_INSENSITIVE_ENUMS)
          .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
          .enable(DeserializationFeature.ACCEPT_SINGLE_VALUE_AS_ARRAY)
          .enable(DeserializationFeature.FAIL_ON_READING_DUP_TREE_KEY)
          .disable(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
          .build();

  private static final int CHANNELS = 3;

  OnnxSpec {
    if (models == null || models.isEmpty()) {
      throw new ReverieException(
          "there are no models", "for example models: [{file: head.onnx, inputs: {x: image}}]");
    }
    if (score == null) {
      throw new ReverieException("there is no score", "for example score: {value: OUTPUT}");
    }
    image =
        Objects.requireNonNullElseGet(image, () -> new Image(null, null, null, null, null, null));
    models = List.copyOf(models);
  }

  /** The order of sides of an image. */
  enum Layout {
    /** Channels first, as PyTorch has it. */
    NCHW,
    /** Channels last, as TensorFlow has it. */
    NHWC
  }

  /**
   * Preparation of images, in this order: resize, crop, divide by 255, subtract the mean, divide by
   * the deviation.
   *
   * @param size of the shorter side, or height and width; none to leave it
   * @param filter of the resizing
   * @param crop side of the square that is cut out of the middle; null for none
   * @param layout of the model's input
   * @param mean of red, green and blue
   * @param std their deviations
   */
  record Image(
      List<Integer> size,
      Resize filter,
      Integer crop,
      Layout layout,
      List<Double> mean,
      List<Double> std) {
    Image {
      size = size == null ? List.of() : List.copyOf(size);
      filter = Objects.requireNonNullElse(filter, Resize.BICUBIC);
      layout = Objects.requireNonNullElse(layout, Layout.NCHW);
      mean = mean == null ? List.of(0.0, 0.0, 0.0) : List.copyOf(mean);
      std = std == null ? List.of(1.0, 1.0, 1.0) : List.copyOf(std);
      if (size.size() > 2 || size.stream().anyMatch(side -> side < 1 || side > 8192)) {
        throw new ReverieException(
            "image.size is " + size, "give the shorter side, 224, or height and width, [224, 224]");
      }
      if (crop != null && (crop < 1 || crop > 8192)) {
        throw new ReverieException("image.crop is " + crop, "give a side in pixels, such as 224");
      }
      if (mean.size() != CHANNELS
          || std.size() != CHANNELS
          || std.stream().anyMatch(value -> !(value > 0))) {
        throw new ReverieException(
            String.format(Locale.ROOT, "image.mean is %s and image.std is %s", mean, std),
            "give three numbers each, for values from 0 to 1; those of std above 0");
      }
    }
  }

  /**
   * From prompts to tokens.
   *
   * @param tokenizer folder or file, or "minilm" for the one that Reverie ships
   * @param length to which they are cut and filled up; null for as many as there are
   * @param pad what fills up; null for what the tokenizer says
   */
  record Text(String tokenizer, Integer length, Integer pad) {
    Text {
      if (tokenizer == null || tokenizer.isBlank()) {
        throw new ReverieException(
            "text.tokenizer is missing",
            "name a folder with tokenizer.json, or vocab.json and merges.txt, or write minilm");
      }
      if (length != null && (length < 2 || length > 100_000)) {
        throw new ReverieException("text.length is " + length, "CLIP's is 77");
      }
    }
  }

  /**
   * A model.
   *
   * @param file relative to the YAML file
   * @param inputs for each input what is given to it: image, tokens, mask, types, or the name of
   *     what an earlier model gave
   * @param outputs names for outputs; those that are not here keep their own
   * @param unit names of outputs that are divided by their length
   */
  record Model(
      String file, Map<String, String> inputs, Map<String, String> outputs, List<String> unit) {
    Model {
      if (file == null || inputs == null || inputs.isEmpty()) {
        throw new ReverieException(
            "models: a model needs 'file' and 'inputs'",
            "for example {file: head.onnx, inputs: {pixel_values: image}}");
      }
      inputs = Map.copyOf(inputs);
      outputs = outputs == null ? Map.of() : Map.copyOf(outputs);
      unit = unit == null ? List.of() : List.copyOf(unit);
    }
  }

  /**
   * The number: {@code scale * x + offset}, where x is a value or the cosine of two.
   *
   * @param value name of a value
   * @param index which of its numbers; null where there is one
   * @param cosine names of two values, in place of a value
   * @param scale a factor; 1 if it is null
   * @param offset what is added; 0 if it is null
   */
  record Score(String value, Integer index, List<String> cosine, Double scale, Double offset) {
    Score {
      cosine = cosine == null ? List.of() : List.copyOf(cosine);
      scale = Objects.requireNonNullElse(scale, 1.0);
      offset = Objects.requireNonNullElse(offset, 0.0);
      if ((value == null) == cosine.isEmpty() || !cosine.isEmpty() && cosine.size() != 2) {
        throw new ReverieException(
            "score: expected 'value', or 'cosine' of two",
            "for example score: {value: logits} or score: {cosine: [image_embeds, text_embeds]}");
      }
      if (index != null && index < 0) {
        throw new ReverieException("score.index is " + index, "the first is 0");
      }
    }

    /** What it is made of. */
    List<String> names() {
      return value == null ? cosine : List.of(value);
    }
  }

  /**
   * Reads a file.
   *
   * @throws ReverieException naming the file, for anything that is wrong
   */
  static OnnxSpec read(Path file) {
    String yaml;
    try {
      yaml = JsonText.text(file, JsonText.MAX_BYTES);
    } catch (NoSuchFileException e) {
      throw new ReverieException(
          "reward onnx: '" + file + "' does not exist",
          "write a YAML file beside the model; docs/rewards.md shows some");
    } catch (IOException e) {
      throw AtomicFile.readFailure(file, e);
    }
    try {
      return YAML.readValue(yaml.isBlank() ? "{}" : yaml, OnnxSpec.class);
    } catch (UnrecognizedPropertyException e) {
      throw new ReverieException(
          String.format(
              Locale.ROOT, "reward onnx: %s: unknown key '%s'", file, e.getPropertyName()),
          "known keys there: " + e.getKnownPropertyIds());
    } catch (JacksonException e) {
      for (Throwable cause = e; cause != null; cause = cause.getCause()) {
        if (cause instanceof ReverieException refused) {
          String[] message = refused.getMessage().split("\nhint: ", 2);
          throw new ReverieException(
              "reward onnx: " + file + ": " + message[0], message[message.length - 1]);
        }
      }
      throw new ReverieException(
          "reward onnx: " + file + ": " + JsonFile.reason(e),
          "docs/rewards.md has a whole example for each kind of model");
    }
  }
}
