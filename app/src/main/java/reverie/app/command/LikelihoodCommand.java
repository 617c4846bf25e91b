// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import reverie.app.data.Estimate;
import reverie.app.data.ImageFolder;
import reverie.app.data.ImageSet;
import reverie.app.evaluate.Likelihoods;
import reverie.app.files.AtomicFile;
import reverie.app.model.LoadedModel;
import reverie.app.run.Progress;
import reverie.diffusion.likelihood.Bits;
import reverie.tensor.Device;
import tools.jackson.databind.json.JsonMapper;

/** Says how likely a model thinks images. */
@Command(
    name = "likelihood",
    description =
        "Measure how likely a model thinks images: exactly, by its probability flow, and the"
            + " bound (ELBO) of the chain that is sampled and trained.",
    footer = {
      "",
      "Examples:",
      "  ./reverie likelihood camera_add.png --steps 100",
      "  ./reverie likelihood runs/first/images/training-after --model runs/first/model --prompt"
          + " camera"
    })
final class LikelihoodCommand implements Callable<Integer> {
  private static final int PERCENT = 100;

  private final Session session;
  @Mixin private SamplingOptions options;
  @Mixin private DeviceOption deviceOption;

  @Parameters(
      paramLabel = "IMAGES",
      arity = "1..*",
      description =
          "PNG files of the model's size, and folders of them, with metadata.jsonl or without.")
  private List<Path> images = new ArrayList<>();

  @Option(
      names = "--prompt",
      paramLabel = "TEXT",
      description = "What the images show. Default: their captions, or their names.")
  private String prompt;

  @Option(
      names = "--probes",
      paramLabel = "N",
      description =
          "Random vectors of Hutchinson's estimate; 0 is exact and slow. Default: ${DEFAULT-VALUE}")
  private int probes = 8;

  @Option(
      names = "--draws",
      paramLabel = "N",
      description = "Draws of the noise for the bound. Default: ${DEFAULT-VALUE}")
  private int draws = 16;

  @Option(
      names = "--tolerance",
      paramLabel = "X",
      converter = ToleranceConverter.class,
      description = "Of the integrator, for a pixel. Default: ${DEFAULT-VALUE}")
  private double tolerance = 1e-3;

  @Option(
      names = "--as-is",
      description =
          "Without the noise as wide as a level of eight bits that makes a density comparable with"
              + " bits.")
  private boolean asIs;

  @Option(names = "--json", paramLabel = "FILE", description = "Write the numbers there too.")
  private Path json;

  /** What was measured of an image. */
  private record Measured(ImageSet.Item item, String prompt, Likelihoods.Result result) {
    /** More likely is fewer bits, so that the ends of the interval change places. */
    Estimate bits(Estimate nats) {
      int elements = item.pixels().length;
      return new Estimate(
          Bits.perElement(nats.mean(), elements),
          Bits.perElement(nats.high(), elements),
          Bits.perElement(nats.low(), elements),
          nats.n());
    }

    Map<String, Object> toMap() {
      Map<String, Object> map = new LinkedHashMap<>();
      map.put("image", item.name());
      map.put("prompt", prompt);
      map.put("elements", item.pixels().length);
      map.put("flow_nats", result.flow().toMap());
      map.put("flow_bits_per_element", bits(result.flow()).toMap());
      map.put("bound_nats", result.bound().toMap());
      map.put("bound_bits_per_element", bits(result.bound()).toMap());
      map.put("evaluations", result.evaluations());
      return map;
    }
  }

  LikelihoodCommand(Session session) {
    this.session = session;
  }

  @Override
  public Integer call() {
    options.sampling();
    if (probes != 0) {
      SamplingOptions.require("--probes", probes, 2, 100_000);
    }
    SamplingOptions.require("--draws", draws, 2, 100_000);
    ImageSet set = ImageFolder.readAll(images);
    AtomicFile.prepare(json);
    Device device = deviceOption.open(session);
    List<Measured> all = new ArrayList<>();
    try (LoadedModel model = options.open(session, device);
        Likelihoods likelihoods =
            new Likelihoods(
                model,
                session.encoder(),
                device,
                new Likelihoods.Options(probes, tolerance, draws, !asIs, options.seed));
        Progress progress = Progress.start("measuring", "per cent", (long) PERCENT * set.size())) {
      for (ImageSet.Item item : set.items()) {
        String shown = prompt == null ? item.prompt() : prompt;
        long done = (long) PERCENT * all.size();
        progress.note(shown);
        Likelihoods.Result result =
            likelihoods.of(
                set, item, shown, share -> progress.advanceTo(done + (long) (PERCENT * share)));
        all.add(new Measured(item, shown, result));
      }
    }
    table(all);
    if (json != null) {
      AtomicFile.writeText(
          json,
          new JsonMapper()
                  .writerWithDefaultPrettyPrinter()
                  .writeValueAsString(all.stream().map(Measured::toMap).toList())
              + "\n");
    }
    return ExitCode.OK;
  }

  private void table(List<Measured> all) {
    var out = session.out();
    String row = "%-24s  %-30s  %-23s  %-30s  %-23s";
    out.println(
        String.format(
            Locale.ROOT, row, "image", "exact, nats", "bits/dim", "ELBO, nats", "bits/dim"));
    for (Measured each : all) {
      out.println(
          String.format(
              Locale.ROOT,
              row,
              Path.of(each.item.name()).getFileName(),
              shown(each.result.flow(), "%.1f"),
              shown(each.bits(each.result.flow()), "%.3f"),
              shown(each.result.bound(), "%.1f"),
              shown(each.bits(each.result.bound()), "%.3f")));
    }
    out.println("95 % intervals: exact over the probes, ELBO over the draws of its noise.");
  }

  private static String shown(Estimate e, String format) {
    String mean = String.format(Locale.ROOT, format, e.mean());
    return e.n() == 1
        ? mean
        : mean + String.format(Locale.ROOT, " [" + format + ", " + format + "]", e.low(), e.high());
  }
}
