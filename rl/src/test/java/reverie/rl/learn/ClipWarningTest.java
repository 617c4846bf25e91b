// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import reverie.rl.advantage.GroupAdvantages;
import reverie.rl.objective.DdpoImportanceSampled;
import reverie.rl.prompt.PromptSource;
import reverie.tensor.Device;

class ClipWarningTest {
  private final Logger logger = Logger.getLogger(Trainer.class.getName());
  private final List<String> said = new ArrayList<>();
  private final Handler handler =
      new Handler() {
        @Override
        public void publish(LogRecord entry) {
          said.add(entry.getLevel() + " " + entry.getMessage());
        }

        @Override
        public void flush() {}

        @Override
        public void close() {}
      };

  @BeforeEach
  void listen() {
    logger.addHandler(handler);
  }

  @AfterEach
  void stop() {
    logger.removeHandler(handler);
  }

  @Test
  void moreThanFortyPerCentAreSaidOnce() {
    ClipWarning warning = new ClipWarning();
    warning.watch(report(0, 0));
    warning.watch(report(4, 10));
    assertEquals(List.of(), said);
    warning.watch(report(5, 10));
    warning.watch(report(9, 10));
    assertEquals(
        List.of(
            "WARNING In epoch 1 50 % of the decisions left the clip range and taught nothing more:"
                + " widen it, or lower the learning rate. This is said once."),
        said);
  }

  @Test
  void aTrainerSaysIt() {
    var settings = TrainerTest.settings().withPasses(3);
    try (TinyModel model = new TinyModel(Device.cpu());
        Trainer trainer =
            new Trainer(
                model.policy(1, 2),
                new DdpoImportanceSampled(1e-9, 5),
                new GroupAdvantages(),
                PromptSource.of("a cat"),
                TrainerTest.BRIGHTNESS,
                settings)) {
      trainer.run(2);
    }
    assertEquals(1, said.size(), said::toString);
  }

  private static EpochReport report(int clipped, int decisions) {
    Diagnostics diagnostics = new Diagnostics();
    for (int i = 0; i < decisions; i++) {
      diagnostics.addDecision(0, 0, i < clipped);
    }
    return diagnostics.report(0, 1, 1);
  }
}
