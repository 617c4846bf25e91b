// SPDX-License-Identifier: Apache-2.0
package reverie.app.finetune;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.Writer;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.app.config.Configuration;
import reverie.app.config.PretrainConfig;
import reverie.app.data.Nouns;
import reverie.app.pretrain.Pretraining;
import reverie.app.run.Metrics;
import reverie.app.run.RunFolder;
import reverie.app.text.LetterEncoder;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;

/** A model of a named data set knows its prompts, its text encoder and what it should draw. */
class NounsRunsTest {
  private static final String PLACE = "reverie.data";

  @TempDir Path folder;

  @AfterEach
  void forgetThePlace() {
    System.clearProperty(PLACE);
  }

  @Test
  void isTrainedAndThenRewardedForItsTraits() throws IOException, URISyntaxException {
    System.setProperty(
        PLACE, Path.of(Nouns.class.getResource("nouns").toURI()).getParent().toString());
    Path model = pretrain();
    String described = Files.readString(model.resolve("reverie.json"));
    assertTrue(described.contains("\"data\" : \"nouns\""), described);
    assertTrue(described.contains("phrases/"), described);
    Path run = folder.resolve("run");
    new TinyRun(folder)
        .finetune(
            run,
            "model=" + model,
            "prompts.source=model",
            "prompts.limit=3",
            "reward=traits",
            "watch=[jpeg_compressibility]",
            "epochs=1");
    double reward = Metrics.read(run).get(1).values().get("reward_mean");
    // Four images of five traits each.
    assertEquals(Math.rint(20 * reward), 20 * reward, 1e-9);
    assertTrue(Files.readString(run.resolve("summary.json")).contains("retrieval_after"));
    assertTrue(
        Files.readString(run.resolve("images/heldout-after/gallery.json"))
            .contains("ball head, plain black glasses, "));
    ReverieException error =
        assertThrows(
            ReverieException.class,
            () ->
                new TinyRun(folder)
                    .finetune(folder.resolve("other"), "model=" + model, "reward=recognised"));
    assertTrue(error.getMessage().contains("compares with the icons"), error::getMessage);
  }

  @Test
  void aMissingFileIsToldWithTheCommandThatFetchesIt() {
    System.setProperty(PLACE, folder.toString());
    ReverieException error = assertThrows(ReverieException.class, Nouns::installed);
    assertTrue(error.getMessage().contains("npm pack @nouns/assets"), error::getMessage);
  }

  private Path pretrain() {
    Configuration<PretrainConfig> config =
        PretrainConfig.READER.read(
            null,
            null,
            List.of(
                "data=nouns",
                "model.block_out_channels=[4,4]",
                "model.norm_num_groups=2",
                "model.attention_head_dim=2",
                "steps=2",
                "batch_size=2",
                "sample_every=0",
                "sampling.steps=1",
                "evaluation_samples=2"));
    try (Pretraining pretraining =
            new Pretraining(config.value(), new LetterEncoder(), Device.cpu());
        RunFolder run =
            RunFolder.create(
                folder.resolve("base"),
                config,
                List.of("test"),
                new PrintWriter(Writer.nullWriter()))) {
      return pretraining.run(run, () -> false);
    }
  }
}
