// SPDX-License-Identifier: Apache-2.0
package reverie.app.evaluate;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BooleanSupplier;
import java.util.stream.IntStream;
import reverie.app.config.Configuration;
import reverie.app.config.PretrainConfig;
import reverie.app.data.ImageSet;
import reverie.app.data.PngImages;
import reverie.app.data.SilkIcons;
import reverie.app.model.BaseModels;
import reverie.app.model.ModelFolder;
import reverie.app.pretrain.Pretraining;
import reverie.app.run.RunFolder;
import reverie.app.text.PromptEncoder;
import reverie.app.text.PromptStates;
import reverie.diffusion.Denoiser;
import reverie.diffusion.FlowNoise;
import reverie.diffusion.ReversePolicy;
import reverie.diffusion.Sampler;
import reverie.diffusion.likelihood.FlowDensity;
import reverie.diffusion.likelihood.Trace;
import reverie.rl.Policy;
import reverie.rl.choice.ChoiceProblem;
import reverie.rl.prompt.Prompt;
import reverie.rl.reward.Colourfulness;
import reverie.rl.reward.Reward;
import reverie.rl.reward.RewardBatch;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.unet.UNet;

/**
 * Icons of 8×8 pixels drawn by a small flow, which is trained first; the reward is how colourful
 * they are, in units of {@link #UNIT}.
 */
public final class IconProblem implements ChoiceProblem {
  /** Weight of the KL. */
  public static final double BETA = 1;

  /** Values of an image. */
  public static final int ELEMENTS = 8 * 8 * ImageSet.CHANNELS;

  /** About the deviation of colourfulness among images of one prompt. */
  private static final double UNIT = 10;

  private static final int STEPS = 10;
  private static final int PROBES = 4;

  private final ModelFolder folder;
  private final UNet frozen;
  private final Policy policy;
  private final List<String> prompts;
  private final int measured;

  /**
   * The model in a folder as it is.
   *
   * @param measured images that are drawn to measure it
   */
  public IconProblem(Path model, PromptEncoder encoder, Device device, int measured) {
    this.measured = measured;
    folder = BaseModels.read(model.toString(), encoder, device, DType.F32);
    frozen = folder.unet().frozenCopy();
    prompts = folder.prompts().training();
    policy =
        new Policy(
            ReversePolicy.flow(folder.scheduler(), STEPS, FlowNoise.FLOW_SDE, 0.7),
            folder.scheduler().prediction(),
            folder.denoiser(folder.unet()),
            folder.denoiser(frozen),
            folder.unet().parameters(),
            asked ->
                PromptStates.stack(
                    device,
                    encoder,
                    asked.stream().map(prompt -> encoder.encode(prompt.text())).toList()),
            8,
            8,
            ImageSet.CHANNELS);
  }

  /**
   * Trains the model, or goes on with it.
   *
   * @param work where icons, run and model go
   * @param steps of the training
   * @return the folder of the model
   */
  public static Path train(
      Path work,
      int steps,
      PromptEncoder encoder,
      Device device,
      PrintWriter console,
      BooleanSupplier stop) {
    Path run = work.resolve("pretrain");
    Path model = run.resolve(Pretraining.MODEL);
    if (Files.isDirectory(model)) {
      return model;
    }
    Path icons = work.resolve("icons");
    write(icons);
    Configuration<PretrainConfig> configuration =
        PretrainConfig.READER.read(
            null,
            null,
            List.of(
                "data=" + icons,
                "schedule.prediction=flow",
                "model.block_out_channels=[16,32]",
                "steps=" + steps,
                "sample_every=0",
                "evaluation_samples=0"));
    boolean begun = Files.exists(run.resolve(RunFolder.CONFIG));
    try (Pretraining pretraining = new Pretraining(configuration.value(), encoder, device);
        RunFolder folder =
            begun
                ? RunFolder.resume(run, configuration, console)
                : RunFolder.create(run, configuration, List.of("questions", "icons"), console)) {
      return pretraining.run(folder, stop);
    }
  }

  /** The icons that may be trained on, four pixels in one. */
  private static void write(Path target) {
    try {
      Files.createDirectories(target);
      ImageSet icons = SilkIcons.training();
      for (ImageSet.Item icon : icons.items()) {
        float[] small = new float[ELEMENTS];
        for (int i = 0; i < icon.pixels().length; i++) {
          int c = i % 3;
          int x = i / 3 % 16;
          int y = i / 48;
          small[(y / 2 * 8 + x / 2) * 3 + c] += icon.pixels()[i] / 4;
        }
        Files.write(
            target.resolve(icon.name() + ".png"),
            PngImages.png(PngImages.fromModel(small, 8, 8).getFirst()));
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public Policy policy() {
    return policy;
  }

  @Override
  public Reward reward() {
    var colourfulness = new Colourfulness();
    return Reward.named(
        "colourfulness",
        batch -> Arrays.stream(colourfulness.score(batch)).map(score -> score / UNIT).toArray());
  }

  @Override
  public List<Prompt> prompts(int pairs) {
    int[] order = Rng.of(1).fork("prompts").permutation(prompts.size());
    return IntStream.range(0, pairs)
        .mapToObj(i -> new Prompt(prompts.get(order[i % order.length])))
        .toList();
  }

  @Override
  public Map<String, Double> measure(double divergence) {
    ReversePolicy flow = ReversePolicy.flow(folder.scheduler(), STEPS, FlowNoise.ODE, 0);
    double gain =
        mean(draw(policy.process(), policy.denoiser()))
            - mean(draw(policy.process(), policy.reference()));
    Map<String, Double> numbers = new LinkedHashMap<>();
    numbers.put("gain of E r", gain);
    numbers.put("KL of samples", divergence(draw(flow, policy.denoiser())));
    numbers.put("KL of chains", divergence);
    return numbers;
  }

  private float[] draw(ReversePolicy process, Denoiser model) {
    Rng[] rows =
        IntStream.range(0, measured).mapToObj(i -> Sampler.row(7, 3, i)).toArray(Rng[]::new);
    try (Scope _ = Scope.open("draw")) {
      Tensor context = policy.encoder().encode(prompts(measured));
      return new Sampler(process, policy.device())
          .sample(model, context, rows, 8, 8, ImageSet.CHANNELS)
          .toFloats();
    }
  }

  private double mean(float[] drawn) {
    float[] values = new float[drawn.length];
    for (int i = 0; i < values.length; i++) {
      values[i] = (drawn[i] + 1) / 2;
    }
    RewardBatch batch = RewardBatch.of(values, 8, 8, ImageSet.CHANNELS, prompts(measured));
    return Arrays.stream(new Colourfulness().score(batch)).average().orElseThrow() / UNIT;
  }

  /** The mean of log p − log p_ref over samples, in nats, by the same probes of both. */
  private double divergence(float[] drawn) {
    var density = new FlowDensity(policy.process().schedule(), policy.prediction(), STEPS);
    try (Scope _ = Scope.open("densities")) {
      Tensor images = policy.device().tensor(drawn, measured, 8, 8, ImageSet.CHANNELS);
      Tensor context = policy.encoder().encode(prompts(measured));
      float[] signs =
          new Trace.Hutchinson(PROBES * measured, Rng.of(9)).rows(0, PROBES * measured, ELEMENTS);
      List<Tensor> vectors = new ArrayList<>();
      for (int k = 0; k < PROBES; k++) {
        int size = measured * ELEMENTS;
        vectors.add(
            policy
                .device()
                .tensor(
                    Arrays.copyOfRange(signs, k * size, (k + 1) * size), images.shape().dims()));
      }
      Tensor now = density.of(policy.denoiser(), images, context, vectors, 1.0 / PROBES);
      Tensor base = density.of(policy.reference(), images, context, vectors, 1.0 / PROBES);
      return now.sub(base).mean().item();
    }
  }

  @Override
  public void close() {
    frozen.close();
    folder.close();
  }
}
