// SPDX-License-Identifier: Apache-2.0
package reverie.app.data;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.AbstractList;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.RandomAccess;
import java.util.stream.IntStream;
import reverie.app.files.JsonFile;
import reverie.tensor.ReverieException;
import tools.jackson.databind.JsonNode;

/**
 * Nouns: figures of 32×32 pixels, each a head, glasses, an accessory, a body and a background
 * painted over each other, read from {@code image-data.json} of the npm package
 * {@code @nouns/assets}. Every combination is an image, 50 million in all, whose prompt names its
 * traits: "cat head, square red glasses, cow accessory, teal body, cool background". Images are
 * painted when they are asked for.
 *
 * <p>Every 16th pair of head and glasses is held out: each such head is trained with other glasses
 * and each such glasses with other heads.
 *
 * <p>A trait is recognised in an image if none of its kind, beside the prompt's other traits, would
 * give pixels nearer (L2) to it.
 */
public final class Nouns implements Recognition {
  private static final int SIDE = 32;
  private static final int PIXELS = SIDE * SIDE;
  private static final int CLEAR = -1;
  private static final int HELD_OUT_EVERY = 16;

  /** Kinds of traits in the order of prompts. */
  private static final int HEAD = 0;

  private static final int GLASSES = 1;
  private static final int ACCESSORY = 2;
  private static final int BODY = 3;
  private static final int BACKGROUND = 4;
  private static final List<String> KINDS =
      List.of("head", "glasses", "accessory", "body", "background");

  /** What is painted over what. */
  private static final int[] LAYERS = {BACKGROUND, BODY, ACCESSORY, HEAD, GLASSES};

  private final List<List<Trait>> traits;

  /**
   * One of a kind.
   *
   * @param name as prompts have it, without its kind
   * @param colours 0xRRGGBB of each pixel, or {@link #CLEAR}
   */
  private record Trait(String name, int[] colours) {}

  private Nouns(List<List<Trait>> traits) {
    this.traits = traits;
  }

  /**
   * Reads the file where it belongs: {@code data/nouns/image-data.json}, or that below the folder
   * that the system property {@code reverie.data} names.
   *
   * @throws ReverieException if it is not there, saying how to fetch it
   */
  public static Nouns installed() {
    Path file = Path.of(System.getProperty("reverie.data", "data"), "nouns", "image-data.json");
    if (!Files.exists(file)) {
      throw new ReverieException(
          "nouns: '" + file + "' does not exist",
          "fetch it: mkdir -p data/nouns && npm pack @nouns/assets@0.10.0 && tar xzf"
              + " nouns-assets-0.10.0.tgz -C data/nouns --strip-components=2"
              + " package/dist/image-data.json");
    }
    return read(file);
  }

  /**
   * Reads a file of such traits.
   *
   * @param file with {@code bgcolors}, {@code palette} and {@code images}
   * @throws ReverieException if something is missing or damaged, saying what
   */
  public static Nouns read(Path file) {
    JsonNode root =
        JsonFile.readObject(file, "take image-data.json of the npm package @nouns/assets");
    int[] palette =
        texts(file, root, "palette").stream()
            .mapToInt(text -> text.isEmpty() ? CLEAR : colour(file, text))
            .toArray();
    List<Trait> backgrounds =
        texts(file, root, "bgcolors").stream()
            .map(text -> background(colour(file, text), text))
            .toList();
    JsonNode images = root.path("images");
    return new Nouns(
        List.of(
            parts(file, images, "heads", palette),
            parts(file, images, "glasses", palette),
            parts(file, images, "accessories", palette),
            parts(file, images, "bodies", palette),
            backgrounds));
  }

  private static List<String> texts(Path file, JsonNode root, String key) {
    List<String> texts = new ArrayList<>();
    root.path(key).forEach(node -> texts.add(node.asString("")));
    if (texts.isEmpty()) {
      throw damaged(file, "it has no list '" + key + "'");
    }
    return texts;
  }

  private static int colour(Path file, String text) {
    if (!text.matches("[0-9a-fA-F]{6}")) {
      throw damaged(file, "'" + text + "' is no colour of six hexadecimal digits");
    }
    return HexFormat.fromHexDigits(text);
  }

  /** The two that there are have names. */
  private static Trait background(int colour, String text) {
    int[] all = new int[PIXELS];
    Arrays.fill(all, colour);
    return new Trait(
        switch (text) {
          case "d5d7e1" -> "cool";
          case "e1d7d5" -> "warm";
          default -> text;
        },
        all);
  }

  private static List<Trait> parts(Path file, JsonNode images, String key, int... palette) {
    List<Trait> parts = new ArrayList<>();
    for (JsonNode part : images.path(key)) {
      String name = part.path("filename").asString("");
      // What stands before the first hyphen is mostly the kind.
      parts.add(
          new Trait(
              name.substring(name.indexOf('-') + 1).replace('-', ' '),
              decode(file, name, part.path("data").asString(""), palette)));
    }
    if (parts.isEmpty() || parts.stream().map(Trait::name).distinct().count() < parts.size()) {
      throw damaged(file, "'" + key + "' is empty or has a name twice");
    }
    return List.copyOf(parts);
  }

  /**
   * Decodes a part: a byte that is 0; the bounds top, right (exclusive), bottom and left; then
   * pairs of a length and an index into the palette, row by row within the bounds.
   */
  private static int[] decode(Path file, String name, String data, int... palette) {
    byte[] bytes;
    try {
      bytes = HexFormat.of().parseHex(data, Math.min(2, data.length()), data.length());
    } catch (IllegalArgumentException e) {
      throw damaged(file, "the data of '" + name + "' are not hexadecimal");
    }
    int[] colours = new int[PIXELS];
    Arrays.fill(colours, CLEAR);
    if (bytes.length < 5 || bytes.length % 2 == 0) {
      throw damaged(file, "the data of '" + name + "' are cut off");
    }
    int top = bytes[1];
    int right = bytes[2];
    int bottom = bytes[3];
    int left = bytes[4];
    if (top < 0 || left < 0 || right > SIDE || bottom >= SIDE || right < left) {
      throw damaged(file, "the bounds of '" + name + "' leave the image");
    }
    int width = right - left;
    int at = 0;
    for (int i = 5; i < bytes.length; i += 2) {
      int length = bytes[i] & 0xff;
      int index = bytes[i + 1] & 0xff;
      if (at + length > width * (bottom - top + 1) || index >= palette.length) {
        throw damaged(file, "a run of '" + name + "' leaves its bounds or the palette");
      }
      for (int end = at + length; at < end; at++) {
        colours[(top + at / width) * SIDE + left + at % width] = palette[index];
      }
    }
    return colours;
  }

  private static ReverieException damaged(Path file, String problem) {
    return new ReverieException(
        String.format(Locale.ROOT, "nouns: '%s': %s", file, problem),
        "fetch image-data.json of the npm package @nouns/assets again");
  }

  /** All but those {@linkplain #heldOut held out}. */
  public ImageSet training() {
    return set(false);
  }

  /** Every combination with a pair of head and glasses that no training sees. */
  public ImageSet heldOut() {
    return set(true);
  }

  private ImageSet set(boolean heldOut) {
    List<int[]> pairs = new ArrayList<>();
    for (int head = 0; head < count(HEAD); head++) {
      for (int glasses = 0; glasses < count(GLASSES); glasses++) {
        if (((head + glasses) % HELD_OUT_EVERY == 0) == heldOut) {
          pairs.add(new int[] {head, glasses});
        }
      }
    }
    return new ImageSet(SIDE, SIDE, new Combinations(pairs));
  }

  private int count(int kind) {
    return traits.get(kind).size();
  }

  /** Pairs of head and glasses with all else. */
  private final class Combinations extends AbstractList<ImageSet.Item> implements RandomAccess {
    private final List<int[]> pairs;

    Combinations(List<int[]> pairs) {
      this.pairs = pairs;
    }

    @Override
    public int size() {
      return Math.multiplyExact(pairs.size(), count(ACCESSORY) * count(BODY) * count(BACKGROUND));
    }

    @Override
    public ImageSet.Item get(int index) {
      int[] chosen = new int[KINDS.size()];
      int rest = index;
      for (int kind : new int[] {BACKGROUND, BODY, ACCESSORY}) {
        chosen[kind] = rest % count(kind);
        rest /= count(kind);
      }
      chosen[HEAD] = pairs.get(rest)[0];
      chosen[GLASSES] = pairs.get(rest)[1];
      return new ImageSet.Item(Integer.toString(index), prompt(chosen), pixels(chosen));
    }
  }

  private String prompt(int... chosen) {
    StringBuilder prompt = new StringBuilder();
    for (int kind = 0; kind < chosen.length; kind++) {
      prompt.append(kind == 0 ? "" : ", ").append(phrase(kind, chosen[kind]));
    }
    return prompt.toString();
  }

  private String phrase(int kind, int trait) {
    return traits.get(kind).get(trait).name() + " " + KINDS.get(kind);
  }

  private float[] pixels(int... chosen) {
    int[] colours = painted(chosen, 0, LAYERS.length);
    float[] pixels = new float[ImageSet.CHANNELS * PIXELS];
    for (int i = 0; i < pixels.length; i++) {
      pixels[i] = value(colours[i / 3], i % 3);
    }
    return pixels;
  }

  /** Some layers over each other. */
  private int[] painted(int[] chosen, int from, int to) {
    int[] colours = new int[PIXELS];
    Arrays.fill(colours, CLEAR);
    for (int layer = from; layer < to; layer++) {
      int[] own = traits.get(LAYERS[layer]).get(chosen[LAYERS[layer]]).colours();
      for (int i = 0; i < PIXELS; i++) {
        colours[i] = own[i] == CLEAR ? colours[i] : own[i];
      }
    }
    return colours;
  }

  /** Red, green or blue in [−1, 1]. */
  private static float value(int colour, int channel) {
    return (colour >> (16 - 8 * channel) & 0xff) / 127.5f - 1;
  }

  @Override
  public List<String> parts() {
    return KINDS;
  }

  @Override
  public double[][] of(float[] images, List<String> prompts) {
    int each = ImageSet.CHANNELS * PIXELS;
    if (images.length != prompts.size() * each) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "nouns: %d prompts need %d values, but %d came",
              prompts.size(),
              prompts.size() * each,
              images.length));
    }
    double[][] found = new double[prompts.size()][];
    for (int i = 0; i < found.length; i++) {
      found[i] =
          recognised(Arrays.copyOfRange(images, i * each, (i + 1) * each), chosen(prompts.get(i)));
    }
    return found;
  }

  private double[] recognised(float[] image, int... chosen) {
    double[] found = new double[KINDS.size()];
    for (int layer = 0; layer < LAYERS.length; layer++) {
      int kind = LAYERS[layer];
      int[] below = painted(chosen, 0, layer);
      int[] above = painted(chosen, layer + 1, LAYERS.length);
      double own = distance(image, below, above, traits.get(kind).get(chosen[kind]));
      found[kind] =
          traits.get(kind).stream().allMatch(t -> distance(image, below, above, t) >= own) ? 1 : 0;
    }
    return found;
  }

  /** Squared, over the pixels that the trait's layer can change. */
  private static double distance(float[] image, int[] below, int[] above, Trait trait) {
    double sum = 0;
    for (int i = 0; i < PIXELS; i++) {
      if (above[i] == CLEAR) {
        int colour = trait.colours()[i] == CLEAR ? below[i] : trait.colours()[i];
        for (int channel = 0; channel < ImageSet.CHANNELS; channel++) {
          double difference = image[ImageSet.CHANNELS * i + channel] - value(colour, channel);
          sum += difference * difference;
        }
      }
    }
    return sum;
  }

  private int[] chosen(String prompt) {
    String[] phrases = prompt.split(", ", -1);
    int[] chosen = new int[KINDS.size()];
    for (int kind = 0; kind < chosen.length; kind++) {
      int own = kind;
      chosen[kind] =
          IntStream.range(0, count(kind))
              .filter(t -> phrases.length == KINDS.size() && phrases[own].equals(phrase(own, t)))
              .findFirst()
              .orElseThrow(() ->
                  new ReverieException(
                      "nouns: the prompt '" + prompt + "' does not name one " + KINDS.get(own),
                      "for example '" + prompt(0, 0, 0, 0, 0) + "'"));
    }
    return chosen;
  }
}
