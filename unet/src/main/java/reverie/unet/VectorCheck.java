// SPDX-License-Identifier: Apache-2.0
package reverie.unet;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import reverie.autograd.Tape;
import reverie.autograd.nn.Parameter;
import reverie.autograd.nn.StateDict;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.io.Safetensors;

/**
 * Compares a U-Net with a file of reference vectors: metadata {@code config}; {@code param.*};
 * {@code input.sample}, {@code input.timestep}, {@code input.target} and perhaps {@code
 * input.encoder_hidden_states}; {@code output.sample}; {@code output.loss}, the mean squared
 * difference to the target; and {@code grad.*} of the loss for every parameter and input. Tensors
 * lie as in PyTorch: NCHW and OIHW.
 */
public final class VectorCheck {
  /** What is meant by agreement in float32. */
  public static final double TOLERANCE = 1e-4;

  /**
   * A gradient shorter than this share of the longest one is measured against that share: some are
   * exactly zero (the bias of attention keys), and the reference has noise there.
   */
  private static final double FLOOR = 1e-4;

  private static final String PARAMETER = "param.";
  private static final String GRADIENT = "grad.";

  /** One tensor and how far it is off: {@code ‖ours − reference‖ / ‖reference‖}. */
  public record Row(String name, double relativeError) {
    /**
     * Compares values.
     *
     * @param floor taken for the length of a reference that is shorter
     */
    public static Row of(String name, double[] reference, double[] ours, double floor) {
      double[] difference = new double[reference.length];
      for (int i = 0; i < difference.length; i++) {
        difference[i] = ours[i] - reference[i];
      }
      double error = norm(difference);
      return new Row(name, error == 0 ? 0 : error / Math.max(norm(reference), floor));
    }
  }

  private final Safetensors file;
  private final Device device;

  private VectorCheck(Safetensors file, Device device) {
    this.file = file;
    this.device = device;
  }

  /** The worst of some rows. */
  public static Row worst(List<Row> rows) {
    return rows.stream().max(Comparator.comparingDouble(Row::relativeError)).orElseThrow();
  }

  /**
   * Carries out the comparison of a file.
   *
   * @return output, loss, then every gradient
   * @throws ReverieException if the file is not of this format
   */
  public static List<Row> check(Path path, Device device) {
    try (Safetensors file = Safetensors.open(path)) {
      String config = file.metadata().get("config");
      if (config == null) {
        throw new ReverieException(
            "check: "
                + path
                + ": expected metadata \"config\" with the model's config.json, got "
                + file.metadata().keySet());
      }
      UNetConfig parsed = UNetConfig.parse(config);
      try (UNet model =
              StateDict.build(p -> new UNet(parsed, p), path, VectorCheck::parameterName, device);
          Scope _ = Scope.open("check")) {
        return new VectorCheck(file, device).compare(model);
      }
    }
  }

  private static String parameterName(String name) {
    return name.startsWith(PARAMETER)
        ? AttentionBlock.currentName(name.substring(PARAMETER.length()))
        : null;
  }

  private List<Row> compare(UNet model) {
    Map<String, Tensor> inputs = new LinkedHashMap<>();
    inputs.put("sample", image("input.sample"));
    if (file.names().contains("input.encoder_hidden_states")) {
      inputs.put("encoder_hidden_states", plain("input.encoder_hidden_states"));
    }
    Tensor labels = labels(inputs);
    Tensor target = image("input.target");
    Tensor timesteps = timesteps();
    List<Tensor> wrt = new ArrayList<>(inputs.values());
    model.parameters().all().forEach(p -> wrt.add(p.value()));
    Tensor[] output = new Tensor[1];
    Tape.Result result =
        Tape.run(
            wrt,
            () -> {
              output[0] =
                  model.forward(
                      inputs.get("sample"), timesteps, inputs.get("encoder_hidden_states"), labels);
              return Ops.mse(output[0], target);
            });
    List<Row> rows = new ArrayList<>();
    rows.add(row("output.sample", toNchw(output[0]), 0));
    rows.add(row("output.loss", result.loss(), 0));
    Map<String, Tensor> gradients = new LinkedHashMap<>();
    inputs.forEach((name, t) -> {
      Tensor g = result.gradient(t);
      gradients.put(GRADIENT + name, name.equals("sample") ? toNchw(g) : g);
    });
    for (Parameter p : model.parameters().all()) {
      gradients.put(nameInFile(p), p.axisOrder().toFile(result.gradient(p.value())));
    }
    double longest =
        gradients.keySet().stream().mapToDouble(n -> norm(file.doubles(n))).max().orElseThrow();
    gradients.forEach((name, g) -> rows.add(row(name, g, FLOOR * longest)));
    return rows;
  }

  private String nameInFile(Parameter p) {
    return file.names().stream()
        .filter(n -> n.startsWith(GRADIENT))
        .filter(n -> AttentionBlock.currentName(n.substring(GRADIENT.length())).equals(p.name()))
        .findFirst()
        .orElse(GRADIENT + p.name());
  }

  private Row row(String name, Tensor ours, double floor) {
    double[] expected = file.doubles(name);
    double[] got = ours.toDoubles();
    boolean scalar = expected.length == 1 && got.length == 1;
    if (!scalar && !file.shape(name).equals(ours.shape())) {
      throw new ReverieException(
          "check: tensor \""
              + name
              + "\": expected "
              + file.shape(name)
              + ", the model gives "
              + ours.type());
    }
    return Row.of(name, expected, got, floor);
  }

  /** The Euclidean norm. */
  public static double norm(double... values) {
    double sum = 0;
    for (double v : values) {
      sum += v * v;
    }
    return Math.sqrt(sum);
  }

  /** The labels, or null; those that are no numbers of classes have gradients. */
  private Tensor labels(Map<String, Tensor> inputs) {
    String name = "input.class_labels";
    if (!file.names().contains(name)) {
      return null;
    }
    if (file.dtype(name).isFloating()) {
      Tensor labels = plain(name);
      inputs.put("class_labels", labels);
      return labels;
    }
    int[] classes = Arrays.stream(file.longs(name)).mapToInt(Math::toIntExact).toArray();
    return device.indices(classes, classes.length);
  }

  private Tensor timesteps() {
    String name = "input.timestep";
    double[] values;
    if (file.dtype(name).isFloating()) {
      values = file.doubles(name);
    } else {
      long[] whole = file.longs(name);
      values = new double[whole.length];
      for (int i = 0; i < whole.length; i++) {
        values[i] = whole[i];
      }
    }
    return device.tensor(values, values.length);
  }

  private Tensor plain(String name) {
    return device.tensor(file.doubles(name), file.shape(name).dims());
  }

  private Tensor image(String name) {
    return plain(name).permute(0, 2, 3, 1).contiguous();
  }

  private static Tensor toNchw(Tensor nhwc) {
    return nhwc.permute(0, 3, 1, 2);
  }
}
