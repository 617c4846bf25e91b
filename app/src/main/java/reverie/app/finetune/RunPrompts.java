// SPDX-License-Identifier: Apache-2.0
package reverie.app.finetune;

import java.nio.file.Path;
import java.util.List;
import reverie.app.config.ConfigurationException;
import reverie.app.config.FinetuneConfig;
import reverie.app.data.DataSet;
import reverie.app.model.ModelPrompts;
import reverie.rl.prompt.PromptSource;

/**
 * The prompts that a configuration asks for.
 *
 * @param asked the configuration
 * @param model what the model was trained with
 * @param conditional whether the model takes prompts
 */
public record RunPrompts(FinetuneConfig.Prompts asked, ModelPrompts model, boolean conditional) {
  /** All of them. */
  public PromptSource all() {
    return switch (asked.source()) {
      case FinetuneConfig.MODEL -> {
        if (!conditional) {
          yield PromptSource.of("");
        }
        List<String> known = model.training();
        if (known.isEmpty()) {
          throw new ConfigurationException(
              "prompts.source is 'model', but this model does not say which prompts it was trained"
                  + " with",
              "name a text file with a prompt a line: --set prompts.source=FILE");
        }
        yield PromptSource.of(known);
      }
      case "animals" -> PromptSource.animals();
      case "animal_activities" -> PromptSource.animalActivities();
      case "template" -> PromptSource.template(asked.template(), asked.slots());
      default ->
          DataSet.named(asked.source())
              .map(set -> PromptSource.of(set.training().prompts()))
              .orElseGet(() -> PromptSource.fromFile(Path.of(asked.source())));
    };
  }

  /** Held out is what a pattern says, or what the model's own training left out; null for none. */
  public PromptSource.Split split() {
    if (!asked.heldOut().isEmpty()) {
      return all().split(asked.heldOut());
    }
    List<String> unseen = areTheModels() ? model.heldOut() : List.of();
    return new PromptSource.Split(all(), unseen.isEmpty() ? null : PromptSource.of(unseen));
  }

  /** Whether they are those of the images that the model knows. */
  boolean areTheModels() {
    return asked.source().equals(FinetuneConfig.MODEL)
        || DataSet.named(asked.source()).filter(set -> set == model.data()).isPresent();
  }
}
