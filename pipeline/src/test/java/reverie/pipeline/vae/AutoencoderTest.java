// SPDX-License-Identifier: Apache-2.0
package reverie.pipeline.vae;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import reverie.autograd.nn.Parameters;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Shape;
import reverie.tensor.Tensor;
import reverie.tensor.graph.CapturedGraph;

class AutoencoderTest {
  private static final String CONFIG =
      """
      {"_class_name": "AutoencoderKL", "block_out_channels": [4, 8], "norm_num_groups": 2,
       "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D"],
       "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D"], "sample_size": 16}
      """;

  private final Device device = Device.cpu();
  private Scope scope;
  private Autoencoder model;

  @BeforeEach
  void open() {
    scope = Scope.open("test");
    model = new Autoencoder(AutoencoderConfig.parse(CONFIG), Parameters.random(device, Rng.of(1)));
  }

  @AfterEach
  void close() {
    model.close();
    scope.close();
  }

  @Test
  void imagesAreDecodedOneByOne() {
    Tensor z = Rng.of(2).normal(device, 3, 8, 6, 4);
    Tensor images = model.decodeEach(z);
    assertEquals(Shape.of(3, 16, 12, 3), images.shape());
    assertArrayEquals(model.decode(z).toFloats(), images.toFloats(), 1e-5f);
    assertEquals(Shape.of(3, 8, 6, 4), model.encodeEach(images).shape());
  }

  /** What layers make lies in one planned piece, far smaller than all of it, and is given back. */
  @Test
  void decodingNeedsLittleMemoryAndKeepsNone() {
    Tensor z = Rng.of(2).normal(device, 1, 16, 16, 4);
    long before = device.liveBytes();
    Tensor image = model.decodeEach(z);
    long kept = Float.BYTES * image.size();
    assertEquals(before + kept, device.liveBytes());
    long all;
    try (Scope _ = Scope.open("eager")) {
      model.decode(z);
      all = device.liveBytes() - before - kept;
    }
    try (CapturedGraph graph = CapturedGraph.of(device, () -> new Tensor[] {model.decode(z)})) {
      assertTrue(graph.plannedBytes() * 4 < all, () -> graph.plannedBytes() + " of " + all);
      // Twice the largest tensor: a norm lies over it, the shortcut and what is computed beside.
      long largest = Float.BYTES * 32 * 32 * 8;
      assertTrue(graph.plannedBytes() < 2.2 * largest, () -> graph.plannedBytes() + "");
    }
  }

  /**
   * A tile of 4 latents is one of 8 pixels; the next begins 3 latents on, and is faded in over 2
   * pixels.
   */
  @Test
  void largeImagesAreDecodedInTilesThatFade() {
    TiledDecoding tiles = new TiledDecoding(z -> Ops.upsampleNearest(z, 2), 4, 2);
    Tensor z = Rng.of(3).normal(device, 1, 4, 10, 1);
    assertTrue(tiles.suits(z));
    // Tiles that agree with each other make the image that the whole makes.
    assertArrayEquals(
        Ops.upsampleNearest(z, 2).toFloats(), tiles.decode(z).contiguous().toFloats(), 1e-6f);

    int[] calls = {0};
    TiledDecoding steps =
        new TiledDecoding(
            part -> device.full(calls[0]++, 1, 2 * part.dim(1), 2 * part.dim(2), 1), 4, 2);
    float[] row = steps.decode(z).slice(1, 0, 1).contiguous().toFloats();
    assertArrayEquals(
        new float[] {0, 0, 0, 0, 0, 0, 0, .5f, 1, 1, 1, 1, 1, 1.5f, 2, 2, 2, 2, 2, 2.5f}, row);
  }

  /** A quarter of five latents is no whole number of them, so that tiles make too much. */
  @Test
  void tilesThatDoNotDivideAreCut() {
    TiledDecoding tiles = new TiledDecoding(z -> Ops.upsampleNearest(z, 2), 5, 2);
    assertEquals(
        Shape.of(1, 26, 22, 1), tiles.decode(Rng.of(3).normal(device, 1, 13, 11, 1)).shape());
  }

  @Test
  void variancesAreHeldInBounds() {
    Tensor bias = model.parameters().get("quant_conv.bias").value();
    bias.assign(new float[] {0, 0, 0, 0, 1e3f, -1e3f, 0, 0});
    float[] some = model.encode(device.zeros(1, 16, 16, 3)).logVariance().toFloats();
    assertEquals(20, some[0]);
    assertEquals(-30, some[1]);
    assertTrue(Math.abs(some[2]) < 20);
  }

  @Test
  void whatAFileDoesNotSayIsAsInDiffusers() {
    AutoencoderConfig config = AutoencoderConfig.parse(CONFIG);
    assertEquals(0.18215, config.scalingFactor());
    assertEquals(4, config.latentChannels());
    assertTrue(config.forceUpcast());
  }

  @Test
  void imagesBeyondTheSizeOfTrainingAreTiled() {
    Tensor z = Rng.of(2).normal(device, 1, 97, 4, 4);
    Tensor images = model.decodeEach(z);
    assertEquals(Shape.of(1, 194, 8, 3), images.shape());
    Tensor first = model.decode(z.slice(1, 0, 64));
    assertArrayEquals(
        first.slice(1, 0, 96).contiguous().toFloats(),
        images.slice(1, 0, 96).contiguous().toFloats(),
        1e-5f);
    Tensor whole = Rng.of(2).normal(device, 1, 96, 4, 4);
    assertArrayEquals(model.decode(whole).toFloats(), model.decodeEach(whole).toFloats(), 1e-5f);
  }

  @Test
  void whatIsNotFiniteIsAnError() {
    float[] values = new float[2 * 8 * 8 * 4];
    values[values.length - 1] = Float.NaN;
    Tensor z = device.tensor(values, 2, 8, 8, 4);
    ReverieException e = assertThrows(ReverieException.class, () -> model.decodeEach(z));
    assertTrue(e.getMessage().contains("latent 1 of 2 holds NaN"), e::getMessage);
    Tensor weight = model.parameters().get("decoder.conv_out.bias").value();
    weight.assign(new float[] {0, Float.POSITIVE_INFINITY, 0});
    Tensor zeros = device.zeros(1, 8, 8, 4);
    e = assertThrows(ReverieException.class, () -> model.decodeEach(zeros));
    assertTrue(e.getMessage().contains("image 0 of 1 holds Infinity"), e::getMessage);
  }

  @Test
  void imagesOfOddSidesAreNamed() {
    ReverieException e =
        assertThrows(ReverieException.class, () -> model.encode(device.zeros(1, 15, 16, 3)));
    assertTrue(e.getMessage().contains("multiples of 2"), e::getMessage);
  }

  @Test
  void aDecoderAloneGivesTheSameImages() {
    Tensor z = Rng.of(2).normal(device, 1, 8, 8, 4);
    try (Autoencoder decoder =
        Autoencoder.decoder(model.config(), Parameters.random(device, Rng.of(1)))) {
      assertArrayEquals(model.decode(z).toFloats(), decoder.decode(z).toFloats());
      ReverieException e =
          assertThrows(ReverieException.class, () -> decoder.encode(device.zeros(1, 16, 16, 3)));
      assertTrue(e.getMessage().contains("only decodes"), e::getMessage);
    }
  }
}
