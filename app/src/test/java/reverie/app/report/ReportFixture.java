// SPDX-License-Identifier: Apache-2.0
package reverie.app.report;

import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.image.BufferedImage;
import java.io.PrintWriter;
import java.io.Writer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import reverie.app.config.FinetuneConfig;
import reverie.app.data.Estimate;
import reverie.app.run.Metrics;
import reverie.app.run.RunFolder;

/** A run folder with invented numbers and images. */
final class ReportFixture {
  private ReportFixture() {}

  static void write(Path folder) {
    Random random = new Random(1);
    var config = FinetuneConfig.READER.read("quickstart", null, List.of());
    List<String> command = List.of("reverie", "finetune", "--preset", "quickstart");
    try (RunFolder run =
        RunFolder.create(folder, config, command, new PrintWriter(Writer.nullWriter()))) {
      try (Metrics metrics = run.metrics(0)) {
        for (int epoch = 0; epoch <= 12; epoch++) {
          Map<String, Double> values = new LinkedHashMap<>();
          values.put("policy/approximate_kl", 1e-5 * random.nextDouble());
          values.put("policy/clip_fraction", 0.1 + 0.2 * random.nextDouble());
          values.put("optimizer/gradient_norm", 0.5 + random.nextDouble());
          values.put("reward/mean", -234 + 6 * epoch + 8 * random.nextGaussian());
          if (epoch % 2 == 0) {
            double reward = -234 + 4.5 * epoch;
            values.putAll(
                new EvaluationPoint(
                        epoch,
                        around(reward + random.nextGaussian(), 5, 256),
                        around(reward - 8 + random.nextGaussian(), 5, 256),
                        around(0.96 - 0.0012 * epoch * epoch, 0.03, 256),
                        0.0002 * epoch * epoch)
                    .toMetrics());
          }
          metrics.log(epoch, values);
        }
      }
      new Summary(
              around(-234, 5, 256),
              around(-180, 5, 256),
              around(-242, 5, 256),
              around(-190, 5, 256),
              around(0.96, 0.02, 256),
              around(0.79, 0.05, 256),
              around(54, 4, 256),
              around(52, 4, 256),
              true,
              768,
              512.3,
              1834,
              0)
          .write(run);
      for (String subject : List.of("training", "heldout")) {
        for (String time : List.of(Gallery.BEFORE, Gallery.AFTER)) {
          List<Gallery.Item> images = new ArrayList<>();
          for (int i = 0; i < 12; i++) {
            String prompt =
                List.of("camera add", "chart pie error", "folder", "user suit <b> \"x\"")
                    .get(i % 4);
            images.add(
                new Gallery.Item(
                    prompt, (time.equals(Gallery.AFTER) ? 180 : 230) + i + " bytes", icon(i)));
          }
          new Gallery(subject + time, images).write(run);
        }
      }
    }
  }

  private static Estimate around(double mean, double half, int n) {
    return new Estimate(mean, mean - half, mean + half, n);
  }

  static BufferedImage icon(int seed) {
    BufferedImage image = new BufferedImage(16, 16, BufferedImage.TYPE_INT_RGB);
    Graphics2D graphics = image.createGraphics();
    graphics.setColor(Color.WHITE);
    graphics.fillRect(0, 0, 16, 16);
    graphics.setColor(Color.getHSBColor(seed * 0.13f, 0.6f, 0.9f));
    graphics.fillOval(2, 2, 11, 11);
    graphics.setColor(Color.DARK_GRAY);
    graphics.drawRect(7, 7, 6, 6);
    graphics.dispose();
    return image;
  }
}
