// SPDX-License-Identifier: Apache-2.0
package reverie.app.data;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.AbstractList;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.RandomAccess;
import java.util.stream.IntStream;
import reverie.tensor.ReverieException;

/**
 * Nouns: figures, each a head, glasses, an accessory, a body and a background painted over each
 * other, read from {@code image-data.json} of the npm package {@code @nouns/assets}. Every
 * combination is an image, 50 million in all, whose prompt names its traits: "cat head, square red
 * glasses, cow accessory, teal body, cool background". Images are painted when they are asked for,
 * and halved: a pixel of the 16×16 is the mean of four, so that a model of them is cheap.
 *
 * <p>Every 16th pair of head and glasses is held out: each such head is trained with other glasses
 * and each such glasses with other heads.
 *
 * <p>A trait is recognised in an image if none of its kind, beside the prompt's other traits, would
 * give pixels nearer (L2) to it.
 */
public final class Nouns implements Recognition {
  private static final int SIDE = NounsFile.SIDE / 2;
  private static final int VALUES = SIDE * SIDE * ImageSet.CHANNELS;
  private static final int PAINTED = NounsFile.PIXELS;
  private static final int CLEAR = NounsFile.CLEAR;
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

  /** By kind. */
  private final List<List<NounsFile.Trait>> traits;

  private Nouns(List<List<NounsFile.Trait>> traits) {
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
    return new Nouns(NounsFile.read(file));
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
    return halved(painted(chosen, 0, LAYERS.length));
  }

  /** Means of 2×2 colours, red, green and blue in [−1, 1]. */
  private static float[] halved(int... colours) {
    float[] pixels = new float[VALUES];
    for (int i = 0; i < colours.length; i++) {
      int pixel = i / NounsFile.SIDE / 2 * SIDE + i % NounsFile.SIDE / 2;
      for (int channel = 0; channel < ImageSet.CHANNELS; channel++) {
        float value = (colours[i] >> (16 - 8 * channel) & 0xff) / 127.5f - 1;
        pixels[ImageSet.CHANNELS * pixel + channel] += value / 4;
      }
    }
    return pixels;
  }

  /** Some layers over each other. */
  private int[] painted(int[] chosen, int from, int to) {
    int[] colours = new int[PAINTED];
    Arrays.fill(colours, CLEAR);
    for (int layer = from; layer < to; layer++) {
      int[] own = traits.get(LAYERS[layer]).get(chosen[LAYERS[layer]]).colours();
      for (int i = 0; i < PAINTED; i++) {
        colours[i] = own[i] == CLEAR ? colours[i] : own[i];
      }
    }
    return colours;
  }

  @Override
  public List<String> parts() {
    return KINDS;
  }

  @Override
  public double[][] of(float[] images, List<String> prompts) {
    if (images.length != prompts.size() * VALUES) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "nouns: %d prompts need %d values, but %d came",
              prompts.size(),
              prompts.size() * VALUES,
              images.length));
    }
    double[][] found = new double[prompts.size()][];
    for (int i = 0; i < found.length; i++) {
      found[i] =
          recognised(
              Arrays.copyOfRange(images, i * VALUES, (i + 1) * VALUES), chosen(prompts.get(i)));
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

  /** Squared, of an image from that of a trait between what is below and above it. */
  private static double distance(float[] image, int[] below, int[] above, NounsFile.Trait trait) {
    int[] colours = new int[PAINTED];
    for (int i = 0; i < PAINTED; i++) {
      int own = trait.colours()[i] == CLEAR ? below[i] : trait.colours()[i];
      colours[i] = above[i] == CLEAR ? own : above[i];
    }
    float[] pixels = halved(colours);
    double sum = 0;
    for (int i = 0; i < VALUES; i++) {
      double difference = image[i] - pixels[i];
      sum += difference * difference;
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
