// SPDX-License-Identifier: Apache-2.0
package reverie.app.reward;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import reverie.app.onnx.OnnxModel;
import reverie.app.onnx.OnnxValue;
import reverie.rl.prompt.Prompt;
import reverie.rl.reward.Images;
import reverie.rl.reward.Reward;
import reverie.rl.reward.RewardBatch;
import reverie.tensor.ReverieException;

/**
 * What ONNX models say of an image and its prompt: a head on pixels, the agreement of an image with
 * its text as CLIP sees it, or a chain of models. Images are scored one by one, so that a score
 * does not depend on its neighbours.
 */
public final class OnnxReward implements Reward {
  private static final String IMAGE = "image";
  private static final List<String> TEXT = List.of("tokens", "mask", "types");

  private final String name;
  private final Path file;
  private Loaded loaded;

  /**
   * A model, as a configuration names it.
   *
   * @param onnx the YAML file beside it
   */
  public record File(String onnx) implements RewardKind {
    /** Checks that there is a name. */
    public File {
      if (onnx.isBlank() || Path.of(onnx).getFileName() == null) {
        throw new ReverieException(
            "reward: 'onnx' names no file", "for example --set reward.onnx=aesthetic.yaml");
      }
    }

    @Override
    public String title() {
      return Path.of(onnx).getFileName().toString().replaceFirst("(?<=.)\\.ya?ml$", "");
    }

    @Override
    public Reward make(String name) {
      return new OnnxReward(name, Path.of(onnx));
    }

    /** Large models on a few cores take what they take. */
    @Override
    public Duration usualTimeout() {
      return Duration.ofHours(1);
    }
  }

  private record Loaded(OnnxSpec spec, Tokens tokens, List<OnnxModel> models) {}

  /**
   * Reads nothing yet.
   *
   * @param name in logs and errors
   * @param file the YAML file
   */
  public OnnxReward(String name, Path file) {
    this.name = name;
    this.file = file;
  }

  @Override
  public String name() {
    return name;
  }

  /** Reads the models, and tries them on a grey image if they take images of one size. */
  @Override
  public void start() {
    OnnxSpec.Image image = load().spec.image();
    if (!image.size().isEmpty()) {
      byte[] grey = new byte[3 * 64 * 64];
      Arrays.fill(grey, (byte) 128);
      score(new Images(grey, 1, 64, 64, 3), 0, new Prompt("a cat"));
    }
  }

  private synchronized Loaded load() {
    if (loaded == null) {
      OnnxSpec spec = OnnxSpec.read(file);
      Tokens tokens = spec.text() == null ? null : Tokens.of(spec.text(), file);
      List<OnnxModel> models = new ArrayList<>();
      try {
        for (OnnxSpec.Model model : spec.models()) {
          models.add(OnnxModel.read(file.resolveSibling(model.file())));
        }
        requireFit(spec, models);
      } catch (RuntimeException e) {
        models.forEach(OnnxModel::close);
        throw e;
      }
      loaded = new Loaded(spec, tokens, List.copyOf(models));
    }
    return loaded;
  }

  /** Every name that is used must be there. */
  private void requireFit(OnnxSpec spec, List<OnnxModel> models) {
    Set<String> known = new TreeSet<>(Set.of(IMAGE));
    if (spec.text() != null) {
      known.addAll(TEXT);
    }
    for (int i = 0; i < models.size(); i++) {
      OnnxSpec.Model asked = spec.models().get(i);
      OnnxModel model = models.get(i);
      requireAll("input", asked.file(), asked.inputs().keySet(), model.inputs(), model);
      requireAll("output", asked.file(), asked.outputs().keySet(), model.outputs(), model);
      for (String input : model.inputs()) {
        if (!asked.inputs().containsKey(input)) {
          throw wrong(
              asked.file() + ": nothing is given for its input '" + input + "'",
              "it " + model.described());
        }
      }
      requireKnown(asked.inputs().values(), known, asked.file());
      Set<String> given = new TreeSet<>();
      for (String output : model.outputs()) {
        String called = asked.outputs().getOrDefault(output, output);
        if (!given.add(called) || !known.add(called)) {
          throw wrong(
              asked.file() + ": the name '" + called + "' is taken",
              "call its output otherwise: outputs: {" + output + ": another}");
        }
      }
      requireKnown(asked.unit(), given, asked.file() + ", unit");
    }
    requireKnown(spec.score().names(), known, "score");
  }

  private void requireAll(
      String kind, String model, Set<String> asked, Set<String> there, OnnxModel described) {
    for (String each : asked) {
      if (!there.contains(each)) {
        throw wrong(
            model + ": there is no " + kind + " '" + each + "'", "it " + described.described());
      }
    }
  }

  private void requireKnown(Iterable<String> names, Set<String> known, String where) {
    for (String each : names) {
      if (!known.contains(each)) {
        throw wrong(
            where + ": there is no value '" + each + "'",
            "there are "
                + String.join(", ", known)
                + (TEXT.contains(each) ? "; 'text' must say which tokenizer makes tokens" : ""));
      }
    }
  }

  private ReverieException wrong(String what, String hint) {
    return new ReverieException("reward " + name + ": " + file + ": " + what, hint);
  }

  @Override
  public double[] score(RewardBatch batch) throws InterruptedException {
    double[] scores = new double[batch.size()];
    for (int i = 0; i < scores.length; i++) {
      if (Thread.interrupted()) {
        throw new InterruptedException();
      }
      scores[i] = score(batch.images(), i, batch.prompts().get(i));
    }
    return scores;
  }

  private double score(Images images, int index, Prompt prompt) {
    Loaded all = load();
    Map<String, OnnxValue> values = new HashMap<>();
    values.put(IMAGE, pixels(images, index, all.spec.image()));
    if (all.tokens != null) {
      int[] tokens = all.tokens.of(prompt.text());
      values.put(TEXT.get(0), OnnxValue.row(tokens));
      values.put(TEXT.get(1), OnnxValue.row(all.tokens.mask(prompt.text())));
      values.put(TEXT.get(2), OnnxValue.row(new int[tokens.length]));
    }
    for (int i = 0; i < all.models.size(); i++) {
      OnnxSpec.Model asked = all.spec.models().get(i);
      Map<String, OnnxValue> inputs = new LinkedHashMap<>();
      asked.inputs().forEach((input, value) -> inputs.put(input, values.get(value)));
      all.models
          .get(i)
          .run(inputs)
          .forEach((output, value) -> {
            String called = asked.outputs().getOrDefault(output, output);
            values.put(called, asked.unit().contains(called) ? unit(value) : value);
          });
    }
    OnnxSpec.Score score = all.spec.score();
    double x =
        score.value() == null
            ? cosine(number(values, score.cosine().get(0)), number(values, score.cosine().get(1)))
            : single(number(values, score.value()), score);
    if (!Double.isFinite(x)) {
      throw wrong(
          String.format(
              Locale.ROOT,
              "%s gave %s for the prompt \"%s\"",
              String.join(" and ", score.names()),
              x,
              prompt.text()),
          "a model in float16 may overflow: export it in float32; check mean and std");
    }
    return score.scale() * x + score.offset();
  }

  private OnnxValue number(Map<String, OnnxValue> values, String called) {
    OnnxValue value = values.get(called);
    if (value == null) {
      throw wrong("the value '" + called + "' holds no numbers", "choose another output");
    }
    return value;
  }

  private double single(OnnxValue value, OnnxSpec.Score score) {
    int count = value.data().length;
    if (score.index() == null && count != 1 || score.index() != null && score.index() >= count) {
      throw wrong(
          String.format(
              Locale.ROOT,
              "'%s' is %s, so that %s",
              score.value(),
              Arrays.toString(value.shape()),
              score.index() == null
                  ? "it is not one number"
                  : "there is no index " + score.index()),
          "say which number is the score: score: {value: " + score.value() + ", index: 0}");
    }
    return value.data()[score.index() == null ? 0 : score.index()];
  }

  private double cosine(OnnxValue a, OnnxValue b) {
    if (a.data().length != b.data().length) {
      throw wrong(
          String.format(
              Locale.ROOT,
              "score: there is no cosine of %s and %s",
              Arrays.toString(a.shape()),
              Arrays.toString(b.shape())),
          "name two embeddings of the same size");
    }
    return dot(a.data(), b.data()) / Math.sqrt(dot(a.data(), a.data()) * dot(b.data(), b.data()));
  }

  private static OnnxValue unit(OnnxValue value) {
    double length = Math.sqrt(dot(value.data(), value.data()));
    float[] data = value.data().clone();
    for (int i = 0; i < data.length; i++) {
      data[i] = (float) (data[i] / length);
    }
    return OnnxValue.of(data, value.shape());
  }

  private static double dot(float[] a, float[] b) {
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += (double) a[i] * b[i];
    }
    return sum;
  }

  /** An image as the model takes it. */
  OnnxValue pixels(Images images, int index, OnnxSpec.Image how) {
    int height = images.height();
    int width = images.width();
    int channels = images.channels();
    int each = height * width * channels;
    byte[] bytes = Arrays.copyOfRange(images.pixels(), index * each, (index + 1) * each);
    if (!how.size().isEmpty()) {
      int shorter = Math.min(height, width);
      int first = how.size().getFirst();
      int toHeight = how.size().size() == 2 ? first : (int) ((long) first * height / shorter);
      int toWidth =
          how.size().size() == 2 ? how.size().getLast() : (int) ((long) first * width / shorter);
      bytes = how.filter().apply(bytes, height, width, channels, toHeight, toWidth);
      height = toHeight;
      width = toWidth;
    }
    int outHeight = how.crop() == null ? height : how.crop();
    int outWidth = how.crop() == null ? width : how.crop();
    if (outHeight > height || outWidth > width) {
      throw wrong(
          String.format(
              Locale.ROOT, "crop is %d, but the image is %d×%d", how.crop(), height, width),
          "give an image.size of at least that");
    }
    int top = (height - outHeight) / 2;
    int left = (width - outWidth) / 2;
    boolean first = how.layout() == OnnxSpec.Layout.NCHW;
    float[] out = new float[outHeight * outWidth * 3];
    for (int y = 0; y < outHeight; y++) {
      for (int x = 0; x < outWidth; x++) {
        for (int c = 0; c < 3; c++) {
          int from = ((y + top) * width + x + left) * channels + Math.min(c, channels - 1);
          double value = ((bytes[from] & 0xff) / 255.0 - how.mean().get(c)) / how.std().get(c);
          int to = first ? (c * outHeight + y) * outWidth + x : (y * outWidth + x) * 3 + c;
          out[to] = (float) value;
        }
      }
    }
    return first
        ? OnnxValue.of(out, 1, 3, outHeight, outWidth)
        : OnnxValue.of(out, 1, outHeight, outWidth, 3);
  }

  @Override
  public synchronized void close() {
    if (loaded != null) {
      loaded.models.forEach(OnnxModel::close);
      loaded = null;
    }
  }
}
