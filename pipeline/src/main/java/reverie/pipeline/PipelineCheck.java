// SPDX-License-Identifier: Apache-2.0
package reverie.pipeline;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import reverie.autograd.Tape;
import reverie.autograd.nn.Lora;
import reverie.autograd.nn.Parameters;
import reverie.pipeline.lora.LoraFile;
import reverie.pipeline.vae.Autoencoder;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.io.Safetensors;
import reverie.unet.VectorCheck;
import reverie.unet.VectorCheck.Row;

/**
 * Compares a pipeline's folder with a file of reference vectors that Python's diffusers computed of
 * it: metadata {@code prompts} and {@code pipe}; of the parts {@code text}, {@code vae}, {@code
 * unet} and {@code lora} their inputs, outputs, losses and gradients; and of {@code pipe} whole
 * chains for each η, with every latent, log-probability and image, and of PNDM. Tensors lie as in
 * PyTorch.
 */
public final class PipelineCheck {
  /** The metadata key by which such a file is known. */
  public static final String KEY = "pipe";

  private static final Pattern CHAIN = Pattern.compile("(pipe\\.output\\.eta([0-9.]+)\\.)latents");
  private static final Pattern EXPECTED = Pattern.compile("\\w+\\.(output|grad|gradstat)\\..+");

  /**
   * One part of the pipeline.
   *
   * @param name of the part
   * @param rows every tensor compared
   */
  public record Section(String name, List<Row> rows) {
    /** The tensor that is furthest off. */
    public Row worst() {
      return VectorCheck.worst(rows);
    }
  }

  /**
   * The whole comparison.
   *
   * @param sections every part
   * @param left outputs and gradients in the file that nothing was compared with
   */
  public record Report(List<Section> sections, List<String> left) {}

  private final Vectors vectors;
  private final StableDiffusion model;
  private final List<Section> sections = new ArrayList<>();

  private PipelineCheck(Vectors vectors, StableDiffusion model) {
    this.vectors = vectors;
    this.model = model;
  }

  /**
   * Carries out the comparison. Adapters that the vectors were computed with lie beside the file:
   * {@code NAME_lora_*.safetensors} beside {@code NAME.safetensors}.
   *
   * @throws ReverieException if file or folder are not of these formats
   */
  public static Report check(Path path, Path folder, Device device) {
    try (Safetensors file = Safetensors.open(path);
        StableDiffusion model = StableDiffusion.load(folder, device)) {
      PipelineCheck check = new PipelineCheck(new Vectors(path, file, device), model);
      check.everything();
      return new Report(List.copyOf(check.sections), check.left());
    }
  }

  private List<String> left() {
    Set<String> compared =
        sections.stream()
            .flatMap(section -> section.rows().stream())
            .map(row -> row.name().replaceFirst("\\[\\d+]$", ""))
            .collect(Collectors.toSet());
    return vectors.file().names().stream()
        .filter(name -> EXPECTED.matcher(name).matches() && !compared.contains(name))
        .toList();
  }

  private void everything() {
    section("tokens", this::tokens);
    section("text encoder", this::text);
    section("autoencoder, decoding", this::decoding);
    section("autoencoder, encoding", this::encoding);
    section("U-Net", this::unet);
    for (Path adapters : adapters(vectors.path())) {
      section(adapters.getFileName().toString(), () -> lora(adapters));
    }
    ChainCheck chains = new ChainCheck(vectors, model);
    for (String name : new TreeSet<>(vectors.file().names())) {
      Matcher chain = CHAIN.matcher(name);
      if (chain.matches()) {
        section(
            "chain, eta " + chain.group(2),
            () -> chains.ddim(chain.group(1), Double.parseDouble(chain.group(2))));
      }
    }
    if (vectors.file().names().contains(ChainCheck.PNDM + "latents")) {
      section("chain, pndm", chains::pndm);
    }
  }

  private void section(String name, Supplier<List<Row>> compare) {
    try (Scope _ = Scope.open("check " + name)) {
      sections.add(new Section(name, compare.get()));
    }
  }

  private List<Row> tokens() {
    String ids = "text.input.input_ids";
    String empty = "text.input.uncond_ids";
    List<String> prompts = Vectors.texts(vectors.json("prompts"));
    return List.of(
        vectors.exact(ids, vectors.ints(ids), model.tokens(prompts).toInts()),
        vectors.exact(empty, vectors.ints(empty), model.tokens(List.of("")).toInts()));
  }

  private List<Row> text() {
    String name = "text.input.input_ids";
    Tensor ids = vectors.device().indices(vectors.ints(name), vectors.file().shape(name).dims());
    Tensor target = vectors.plain("text.input.target");
    Parameters parameters = model.textEncoder().parameters();
    List<Row> rows = new ArrayList<>();
    Tape.Result result =
        Tape.run(
            Vectors.with(parameters),
            () -> {
              List<Tensor> states = model.textEncoder().states(ids);
              for (int i = 0; i < states.size(); i++) {
                rows.add(vectors.row("text.output.hidden_states." + i, states.get(i)));
              }
              Tensor last = model.textEncoder().last(states);
              rows.add(vectors.row("text.output.last_hidden_state", last));
              rows.add(
                  vectors.row("text.output.pooler_output", model.textEncoder().pooled(last, ids)));
              return Ops.mse(last, target);
            });
    rows.add(vectors.row("text.output.loss", result.loss()));
    rows.addAll(
        vectors.gradients("text.", Vectors.of(parameters, result), UnaryOperator.identity()));
    return rows;
  }

  private List<Row> decoding() {
    Tensor z = vectors.image("vae.input.z");
    Tensor[] decoded = new Tensor[1];
    return autoencoder(
        z,
        "z",
        "decode_loss",
        name -> name.startsWith("decoder.") || name.startsWith("post_quant_conv."),
        () -> {
          decoded[0] = model.autoencoder().decode(z);
          return decoded[0].square().mean();
        },
        () -> List.of(vectors.row("vae.output.decoded", decoded[0])));
  }

  private List<Row> encoding() {
    Tensor image = vectors.image("vae.input.image");
    Autoencoder.Posterior[] posterior = new Autoencoder.Posterior[1];
    return autoencoder(
        image,
        "image",
        "encode_loss",
        name -> name.startsWith("encoder.") || name.startsWith("quant_conv."),
        () -> {
          posterior[0] = model.autoencoder().encode(image);
          Tensor mean = posterior[0].mean().square().mean();
          return mean.add(posterior[0].logVariance().square().mean());
        },
        () ->
            List.of(
                vectors.row("vae.output.mean", posterior[0].mean()),
                vectors.row("vae.output.logvar", posterior[0].logVariance()),
                vectors.row(
                    "vae.output.sampled", posterior[0].sample(vectors.image("vae.input.noise")))));
  }

  /** One direction, whose parameters are those that have a gradient. */
  private List<Row> autoencoder(
      Tensor input,
      String inputName,
      String lossName,
      Predicate<String> used,
      Supplier<Tensor> loss,
      Supplier<List<Row>> outputs) {
    Parameters parameters = model.autoencoder().parameters();
    List<Tensor> wrt = new ArrayList<>(List.of(input));
    parameters.all().stream().filter(p -> used.test(p.name())).forEach(p -> wrt.add(p.value()));
    Tape.Result result = Tape.run(wrt, loss);
    List<Row> rows = new ArrayList<>(outputs.get());
    rows.add(vectors.row("vae.output." + lossName, result.loss()));
    Map<String, Tensor> gradients = new LinkedHashMap<>();
    gradients.put(inputName, Vectors.toNchw(result.gradient(input)));
    parameters.all().stream()
        .filter(p -> used.test(p.name()))
        .forEach(p -> gradients.put(p.name(), p.axisOrder().toFile(result.gradient(p.value()))));
    rows.addAll(vectors.gradients("vae.", gradients, Autoencoder::parameterName));
    return rows;
  }

  private List<Row> unet() {
    Tensor sample = vectors.image("unet.input.sample");
    Tensor context = vectors.plain("unet.input.encoder_hidden_states");
    Parameters parameters = model.unet().parameters();
    Tensor[] output = new Tensor[1];
    Tape.Result result =
        Tape.run(
            Vectors.with(parameters, sample, context),
            () -> {
              output[0] = denoised(sample, context);
              return Ops.mse(output[0], vectors.image("unet.input.target"));
            });
    List<Row> rows = new ArrayList<>();
    rows.add(vectors.row("unet.output.sample", output[0]));
    rows.add(vectors.row("unet.output.loss", result.loss()));
    Map<String, Tensor> gradients = Vectors.of(parameters, result);
    gradients.put("sample", Vectors.toNchw(result.gradient(sample)));
    gradients.put("encoder_hidden_states", result.gradient(context));
    rows.addAll(vectors.gradients("unet.", gradients, UnaryOperator.identity()));
    return rows;
  }

  private Tensor denoised(Tensor sample, Tensor context) {
    int[] timesteps = vectors.ints("unet.input.timestep");
    double[] values = Arrays.stream(timesteps).asDoubleStream().toArray();
    return model.unet().forward(sample, vectors.device().tensor(values, values.length), context);
  }

  private static List<Path> adapters(Path file) {
    String stem = file.getFileName().toString().replaceFirst("\\.safetensors$", "");
    List<Path> found = new ArrayList<>();
    try (DirectoryStream<Path> beside =
        Files.newDirectoryStream(file.toAbsolutePath().getParent(), stem + "_lora_*.safetensors")) {
      beside.forEach(found::add);
    } catch (IOException e) {
      throw new ReverieException(
          "check: cannot look for adapters beside " + file + ": " + e, "check permissions", e);
    }
    found.sort(null);
    return found;
  }

  private List<Row> lora(Path adapters) {
    Map<String, Lora> parts = LoraFile.read(adapters, model.parts());
    try {
      Lora lora = parts.get(LoraFile.UNET);
      if (lora == null) {
        throw vectors.error("adapters of the U-Net in " + adapters, parts.keySet());
      }
      return lora(lora);
    } finally {
      parts.values().forEach(Lora::close);
    }
  }

  /**
   * What comes out with the file's α, and outputs and gradients of a factor α/r of 1, whatever α it
   * gives.
   */
  private List<Row> lora(Lora lora) {
    Tensor sample = vectors.image("unet.input.sample");
    Tensor context = vectors.plain("unet.input.encoder_hidden_states");
    List<Row> rows = new ArrayList<>();
    String alpha = "lora.output.sample_alpha";
    boolean same =
        Arrays.equals(vectors.file().doubles(alpha), vectors.file().doubles("lora.output.sample"));
    if (same || lora.adapters().stream().anyMatch(a -> a.size().alpha() != a.size().rank())) {
      rows.add(vectors.row(alpha, denoised(sample, context)));
    }
    try (Lora unscaled = unscaled(lora)) {
      lora.without(() -> rows.addAll(unscaled(unscaled, sample, context)));
    }
    return rows;
  }

  private Lora unscaled(Lora lora) {
    Map<String, Lora.Size> sizes = new LinkedHashMap<>();
    for (Lora.Adapter adapter : lora.adapters()) {
      int rank = adapter.size().rank();
      sizes.put(adapter.module(), new Lora.Size(rank, rank));
    }
    Lora unscaled = new Lora(model.unet().parameters(), sizes, Rng.of(0));
    unscaled.parameters().copyFrom(lora.parameters());
    return unscaled;
  }

  private List<Row> unscaled(Lora lora, Tensor sample, Tensor context) {
    List<Row> rows = new ArrayList<>();
    lora.setStrength(0.5);
    rows.add(vectors.row("lora.output.sample_scale_0.5", denoised(sample, context)));
    lora.setStrength(1);
    Tensor[] output = new Tensor[1];
    Tape.Result result =
        Tape.run(
            Vectors.with(lora.parameters()),
            () -> {
              output[0] = denoised(sample, context);
              return Ops.mse(output[0], vectors.image("unet.input.target"));
            });
    rows.add(vectors.row("lora.output.sample", output[0]));
    rows.add(vectors.row("lora.output.loss", result.loss()));
    rows.addAll(
        vectors.gradients(
            "lora.",
            Vectors.of(lora.parameters(), result),
            name ->
                LoraFile.parameterName(name, LoraFile.UNET, model.unet().parameters())
                    .orElse(name)));
    return rows;
  }
}
