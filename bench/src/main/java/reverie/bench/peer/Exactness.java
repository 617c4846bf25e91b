// SPDX-License-Identifier: Apache-2.0
package reverie.bench.peer;

import java.util.ArrayList;
import java.util.List;
import reverie.autograd.Tape;
import reverie.autograd.nn.Parameter;
import reverie.bench.step.Kind;
import reverie.bench.step.Model;
import reverie.bench.step.Subject;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.unet.UNet;

/**
 * How far float32 is from float64, on either side: the same parameters and inputs go to this
 * engine, to LibTorch and to the reference device. At timestep 1, so that the rounding of the
 * sines' arguments, which is the same for all, does not hide the rest.
 */
final class Exactness {
  private static final int SAMPLES = 1;

  private Exactness() {}

  /** Errors of the output and of all gradients of a mean squared error, norm-wise. */
  static Task.Accuracy measure(Subject subject, UNet model, LibTorch torch) {
    Device device = model.parameters().device();
    try (Scope _ = Scope.open("exactness");
        UNet exact = exact(model)) {
      int[] dims = {SAMPLES, subject.side(), subject.side(), subject.channels()};
      Tensor x = Rng.of(5).normal(device, dims);
      Tensor y = Rng.of(6).normal(device, dims);
      Tensor context = Rng.of(7).normal(device, SAMPLES, subject.tokens(), subject.contextWidth());
      Side expected = ours(exact, x, y, context);
      Side ours = ours(model, x, y, context);
      Side peer = peer(model, x, y, context, torch);
      return new Task.Accuracy(
          error(ours.output, expected.output),
          error(peer.output, expected.output),
          error(ours.gradient, expected.gradient),
          error(peer.gradient, expected.gradient));
    }
  }

  private record Side(double[] output, double[] gradient) {}

  private static UNet exact(UNet model) {
    UNet exact = UNet.random(model.config(), Device.reference(), Rng.of(1));
    List<Parameter> from = model.parameters().all();
    List<Parameter> to = exact.parameters().all();
    try (Scope _ = Scope.open("exact")) {
      for (int i = 0; i < from.size(); i++) {
        to.get(i).value().assign(moved(from.get(i).value(), Device.reference()));
      }
    }
    return exact;
  }

  private static Tensor moved(Tensor t, Device device) {
    return device.tensor(t.toDoubles(), t.shape().dims());
  }

  private static Side ours(UNet model, Tensor x, Tensor y, Tensor context) {
    Device device = model.parameters().device();
    List<Parameter> parameters = model.parameters().all();
    Tensor[] output = new Tensor[1];
    Tape.Result result =
        Tape.run(
            parameters.stream().map(Parameter::value).toList(),
            () -> {
              output[0] =
                  model.forward(moved(x, device), device.full(1, SAMPLES), moved(context, device));
              return Ops.mse(output[0], moved(y, device));
            });
    List<double[]> gradients =
        parameters.stream()
            .map(p -> p.axisOrder().toFile(result.gradient(p.value())).toDoubles())
            .toList();
    return new Side(output[0].permute(0, 3, 1, 2).toDoubles(), joined(gradients));
  }

  /** The script's pretraining loss with no noise in the input. */
  private static Side peer(UNet model, Tensor x, Tensor y, Tensor context, LibTorch torch) {
    List<HostTensor> inputs =
        List.of(
            HostTensor.image(x),
            HostTensor.row(ones()),
            HostTensor.of(context),
            HostTensor.image(y),
            HostTensor.column(ones()),
            HostTensor.column(new double[SAMPLES]));
    try (LibTorch.Values raw = torch.values(PeerStep.Source.parameters(Model.of(model)));
        LibTorch.Values parameters = torch.run("prepare", raw);
        LibTorch.Values batch = torch.values(inputs);
        LibTorch.Values output = torch.run("forward", parameters, batch);
        LibTorch.Values gradients =
            torch.run(Kind.PRETRAINING.title() + "_gradients", parameters, batch)) {
      List<double[]> all = new ArrayList<>();
      torch.read(gradients, part -> all.add(doubles(part)));
      double[][] outputs = new double[1][];
      torch.read(output, part -> outputs[0] = doubles(part));
      return new Side(outputs[0], joined(all.subList(1, all.size())));
    }
  }

  private static double[] ones() {
    double[] ones = new double[SAMPLES];
    java.util.Arrays.fill(ones, 1);
    return ones;
  }

  private static double[] doubles(float... values) {
    double[] out = new double[values.length];
    for (int i = 0; i < out.length; i++) {
      out[i] = values[i];
    }
    return out;
  }

  private static double[] joined(List<double[]> parts) {
    return parts.stream().flatMapToDouble(java.util.Arrays::stream).toArray();
  }

  private static double error(double[] got, double[] expected) {
    double gap = 0;
    double norm = 0;
    for (int i = 0; i < got.length; i++) {
      gap += (got[i] - expected[i]) * (got[i] - expected[i]);
      norm += expected[i] * expected[i];
    }
    return Math.sqrt(gap / norm);
  }
}
