// SPDX-License-Identifier: Apache-2.0
package reverie.bench.step;

import java.util.List;
import java.util.stream.Stream;
import reverie.autograd.nn.Lora;
import reverie.autograd.nn.Parameter;
import reverie.autograd.nn.Parameters;
import reverie.pipeline.vae.Autoencoder;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.unet.UNet;

/**
 * What a kind of step computes with.
 *
 * @param unet null where images are decoded
 * @param lora adapters on it, or null
 * @param autoencoder null where nothing is decoded
 */
public record Model(UNet unet, Lora lora, Autoencoder autoencoder) implements AutoCloseable {
  /** A U-Net alone. */
  public static Model of(UNet unet) {
    return new Model(unet, null, null);
  }

  /** A model of a subject for steps of this kind, with random weights. */
  public static Model random(Subject subject, Kind kind, Device device) {
    Model model = on(subject, kind, Parameters.random(device, Rng.of(1)));
    if (model.lora != null) {
      model.lora.adapters().forEach(adapter -> train(adapter.b()));
    }
    return model;
  }

  /** Names and shapes of one. */
  public static Model shapes(Subject subject, Kind kind) {
    return on(subject, kind, Parameters.shapesOnly());
  }

  private static Model on(Subject subject, Kind kind, Parameters parameters) {
    if (kind == Kind.DECODING) {
      return new Model(null, null, Autoencoder.decoder(subject.autoencoder(), parameters));
    }
    UNet unet = new UNet(subject.config(), parameters);
    return kind == Kind.LORA
        ? new Model(
            unet,
            new Lora(parameters, StepSettings.ADAPTERS, Lora::isAttentionProjection, Rng.of(3)),
            null)
        : of(unet);
  }

  /** As if it had been: where B is 0 the gradient of A is 0. */
  private static void train(Parameter b) {
    try (Scope _ = Scope.open("adapter")) {
      Device device = b.value().device();
      b.value().assign(Rng.of(4).fork(b.name()).normal(device, b.shape().dims()).mul(0.02));
    }
  }

  /** All that a peer needs, those that are not trained first. */
  public List<Parameter> parameters() {
    if (autoencoder != null) {
      return autoencoder.parameters().all();
    }
    List<Parameter> own = unet.parameters().all();
    return lora == null
        ? own
        : Stream.concat(own.stream(), lora.parameters().all().stream()).toList();
  }

  /** What training steps change. */
  public Parameters trained() {
    return lora == null ? unet.parameters() : lora.parameters();
  }

  /** Where it computes. */
  public Device device() {
    return (autoencoder == null ? unet.parameters() : autoencoder.parameters()).device();
  }

  @Override
  public void close() {
    if (lora != null) {
      lora.close();
    }
    if (unet != null) {
      unet.close();
    }
    if (autoencoder != null) {
      autoencoder.close();
    }
  }
}
