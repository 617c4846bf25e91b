// SPDX-License-Identifier: Apache-2.0
package reverie.app.reward;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Supplier;
import reverie.app.data.DataSet;
import reverie.app.data.Recognition;
import reverie.rl.prompt.Prompt;
import reverie.rl.reward.Colourfulness;
import reverie.rl.reward.JpegReward;
import reverie.rl.reward.Reward;

/** The rewards that a configuration can name. */
public enum BuiltInReward implements RewardKind {
  /** A small JPEG: minus its bytes above those of a blank image, which would hide the rest. */
  JPEG_COMPRESSIBILITY(Unit.BYTES_SAVED, JpegReward::compressibility),
  /** A large JPEG: its bytes above those of a blank image. */
  JPEG_INCOMPRESSIBILITY(Unit.BYTES, JpegReward::incompressibility),
  /** Strong and varied colours. */
  COLOURFULNESS(Unit.AMOUNT, Colourfulness::new),
  /** 1 for images whose nearest icon has the prompt's first word, else 0. */
  RECOGNISED(Unit.SHARE, DataSet.ICONS) {
    @Override
    double score(double... parts) {
      return parts[0];
    }
  },
  /** Share of the five traits of a Noun that its image shows. */
  TRAITS(Unit.SHARE, DataSet.NOUNS);

  /** What a reward counts. */
  public enum Unit {
    /** Bytes. */
    BYTES(true),
    /** Minus bytes. */
    BYTES_SAVED(true),
    /** Something of which there can be none. */
    AMOUNT(true),
    /** From 0 to 1. */
    SHARE(true),
    /** Anything: nothing is known of its zero. */
    NUMBER(false);

    private final boolean zero;

    Unit(boolean zero) {
      this.zero = zero;
    }

    /** Whether 0 means none, so that changes can be given in per cent. */
    public boolean hasNaturalZero() {
      return zero;
    }

    /** A reward as a caption shows it. */
    public String shown(double reward) {
      return switch (this) {
        case BYTES -> Math.round(reward) + " bytes";
        case BYTES_SAVED -> Math.round(-reward) + " bytes";
        case AMOUNT, SHARE, NUMBER -> String.format(Locale.ROOT, "%.4g", reward);
      };
    }
  }

  private final Unit unit;
  private final Supplier<Reward> factory;
  private final DataSet data;

  BuiltInReward(Unit unit, Supplier<Reward> factory) {
    this.unit = unit;
    this.factory = factory;
    data = null;
  }

  BuiltInReward(Unit unit, DataSet data) {
    this.unit = unit;
    this.factory = this::recognised;
    this.data = data;
  }

  @Override
  public Unit unit() {
    return unit;
  }

  @Override
  public Optional<DataSet> comparesWith() {
    return Optional.ofNullable(data);
  }

  /** What an image earns by its parts that are recognised. */
  double score(double... parts) {
    return Arrays.stream(parts).average().orElseThrow();
  }

  @Override
  public String title() {
    return toString();
  }

  @Override
  public Reward make(String name) {
    Reward made = factory.get();
    return name.equals(title()) ? made : Reward.named(name, made);
  }

  /** The name in configurations and logs. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }

  private Reward recognised() {
    Recognition recognition = data.recognition();
    return Reward.named(
        title(),
        batch -> {
          float[] pixels = batch.values().clone();
          for (int i = 0; i < pixels.length; i++) {
            pixels[i] = 2 * pixels[i] - 1;
          }
          List<String> prompts = batch.prompts().stream().map(Prompt::text).toList();
          return Arrays.stream(recognition.of(pixels, prompts)).mapToDouble(this::score).toArray();
        });
  }
}
