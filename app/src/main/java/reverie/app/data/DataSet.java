// SPDX-License-Identifier: Apache-2.0
package reverie.app.data;

import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;
import reverie.app.text.PhraseEncoder;
import reverie.app.text.PromptEncoder;

/**
 * The images that Reverie knows by a name: what {@code pretrain} can learn, what models remember
 * that they have learnt, and what tells whether they draw it. To add one, add a constant.
 */
public enum DataSet {
  /** 1,000 icons of 16×16 pixels. */
  ICONS {
    @Override
    public ImageSet training() {
      return SilkIcons.training();
    }

    @Override
    public ImageSet heldOut() {
      return SilkIcons.heldOut();
    }

    @Override
    public Recognition recognition() {
      return new Retrieval(SilkIcons.all());
    }
  },

  /** 50 million figures of 16×16 pixels. */
  NOUNS {
    @Override
    public ImageSet training() {
      return Nouns.installed().training();
    }

    @Override
    public ImageSet heldOut() {
      return Nouns.installed().heldOut();
    }

    @Override
    public Recognition recognition() {
      return Nouns.installed();
    }

    @Override
    public PromptEncoder encoder(PromptEncoder usual) {
      return new PhraseEncoder();
    }
  };

  /** The set of this name, if there is one. */
  public static Optional<DataSet> named(String name) {
    return Arrays.stream(values()).filter(set -> set.toString().equals(name)).findFirst();
  }

  /** Images that may be trained on. */
  public abstract ImageSet training();

  /** Images that no training sees, neither they nor their prompts. */
  public abstract ImageSet heldOut();

  /** Tells what is seen. */
  public abstract Recognition recognition();

  /**
   * What its prompts go through when a model is trained.
   *
   * @param usual the encoder of sentences
   */
  public PromptEncoder encoder(PromptEncoder usual) {
    return usual;
  }

  /** The name in configurations and model folders. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
