// SPDX-License-Identifier: Apache-2.0
package reverie.unet;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import reverie.autograd.Tape;
import reverie.autograd.nn.Parameter;
import reverie.autograd.nn.Parameters;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Shape;
import reverie.tensor.Tensor;
import reverie.tensor.io.Safetensors;

class UNetTest {
  private static final String WEIGHTS = "diffusion_pytorch_model.safetensors";

  private final Device device = Device.reference();
  @TempDir Path folder;
  private Scope scope;
  private Tensor sample;
  private Tensor timesteps;
  private Tensor context;

  @BeforeEach
  void open() {
    scope = Scope.open("test");
    sample = Rng.of(1).normal(device, 2, 8, 8, 4);
    timesteps = device.tensor(new double[] {7, 613}, 2);
    context = Rng.of(2).normal(device, 2, 5, 12);
  }

  @AfterEach
  void close() {
    scope.close();
  }

  private UNet conditioned() {
    return UNet.random(UNetConfig.of(Configs.conditioned()), device, Rng.of(3));
  }

  @Test
  void stableDiffusionHasItsParameters() {
    try (Parameters p = Parameters.shapesOnly();
        UNet model = new UNet(Configs.stableDiffusion1(), p)) {
      assertEquals(859_520_964, model.parameters().count());
      assertEquals(686, p.all().size());
      assertEquals(Shape.of(320, 4, 3, 3), p.get("conv_in.weight").fileShape());
      assertEquals(Shape.of(1280, 320), p.get("time_embedding.linear_1.weight").fileShape());
      String first = "down_blocks.0.attentions.1.transformer_blocks.0.";
      assertEquals(Shape.of(320, 768), p.get(first + "attn2.to_k.weight").fileShape());
      assertEquals(Shape.of(2560, 320), p.get(first + "ff.net.0.proj.weight").fileShape());
      assertEquals(
          Shape.of(320, 320, 1, 1), p.get("down_blocks.0.attentions.0.proj_in.weight").fileShape());
      assertEquals(
          Shape.of(1280, 2560, 3, 3), p.get("up_blocks.1.resnets.1.conv1.weight").fileShape());
      assertEquals(
          Shape.of(1280, 1920, 1, 1),
          p.get("up_blocks.1.resnets.2.conv_shortcut.weight").fileShape());
      assertEquals(
          Shape.of(640, 960, 3, 3), p.get("up_blocks.2.resnets.2.conv1.weight").fileShape());
      assertEquals(
          Shape.of(640, 640, 3, 3), p.get("up_blocks.2.upsamplers.0.conv.weight").fileShape());
      assertEquals(
          Shape.of(1280),
          p.get("mid_block.attentions.0.transformer_blocks.0.norm3.bias").fileShape());
      assertTrue(!p.contains("down_blocks.3.downsamplers.0.conv.weight"));
      assertTrue(!p.contains("down_blocks.3.attentions.0.norm.weight"));
    }
  }

  @Test
  void aFolderIsReadAsItWasWritten() {
    try (UNet model = conditioned()) {
      double[] expected = model.forward(sample, timesteps, context).toDoubles();
      model.save(folder.resolve("pipeline/unet"));
      try (UNet read = UNet.load(folder.resolve("pipeline"), device)) {
        assertEquals(model.config().blockOutChannels(), read.config().blockOutChannels());
        assertArrayEquals(expected, read.forward(sample, timesteps, context).toDoubles(), 1e-4);
        for (Parameter p : model.parameters().all()) {
          assertArrayEquals(
              p.value().toFloats(), read.parameters().get(p.name()).value().toFloats(), p.name());
        }
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "only_cross_attention, true",
    "resnet_time_scale_shift, scale_shift",
    "mid_block_type, UNetMidBlock2D"
  })
  void severalContextsOfASampleShareWhatComesBefore(String key, String value) {
    Object set = value.equals("true") ? Boolean.TRUE : value;
    Tensor contexts = Rng.of(4).normal(device, 6, 5, 12);
    try (UNet model =
        UNet.random(Configs.with(Configs.conditioned(), key, set), device, Rng.of(3))) {
      Tensor together = model.forward(sample, timesteps, contexts);
      Tensor apart =
          model.forward(Ops.concat(0, sample, sample, sample), Ops.repeat(timesteps, 6), contexts);
      assertArrayEquals(apart.toDoubles(), together.toDoubles());
      Tensor oneForAll = contexts.slice(0, 0, 3);
      Tensor oneForEach = Ops.repeatFirst(oneForAll, 4);
      assertArrayEquals(
          model.forward(sample, timesteps, oneForEach).toDoubles(),
          model.forward(sample, timesteps, oneForAll).toDoubles());
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {3, 4})
  void gradientsOfSharedBranchesAreTheirSum(int rows) {
    Tensor contexts = Rng.of(4).normal(device, rows, 5, 12);
    try (UNet model = conditioned()) {
      List<Tensor> all = model.parameters().all().stream().map(Parameter::value).toList();
      Tape.Result together =
          Tape.run(all, () -> model.forward(sample, timesteps, contexts).square().sum());
      Tensor twice = Ops.concat(0, sample, sample);
      Tensor times = Ops.repeat(timesteps, 4);
      Tensor each = Ops.repeatFirst(contexts, 4);
      Tape.Result apart = Tape.run(all, () -> model.forward(twice, times, each).square().sum());
      for (Tensor t : all) {
        assertArrayEquals(apart.gradient(t).toDoubles(), together.gradient(t).toDoubles(), 1e-9);
      }
    }
  }

  @Test
  void contextsMustBeAMultipleOfTheSamplesOrOneMore() {
    try (UNet model = conditioned()) {
      for (int rows : new int[] {0, 1, 5}) {
        Tensor wrong = device.zeros(rows, 5, 12);
        ReverieException e =
            assertThrows(ReverieException.class, () -> model.forward(sample, timesteps, wrong));
        assertTrue(e.getMessage().contains("expected a context [2, tokens, 12]"), e.getMessage());
      }
    }
    Tensor nothing = device.zeros(0, 3);
    assertThrows(ReverieException.class, () -> Ops.repeat(nothing, 2));
    assertThrows(ReverieException.class, () -> Ops.repeat(sample, 0));
    assertSame(nothing, Ops.repeat(nothing, 0));
    assertSame(sample, Ops.repeatFirst(sample, 2));
    assertThrows(ReverieException.class, () -> Ops.repeatFirst(sample, 1));
  }

  @Test
  void formerNamesOfAttentionAreRead() {
    Map<String, Object> config = Configs.plain();
    config.put("attention_head_dim", 4);
    try (UNet model = UNet.random(UNetConfig.of(config), device, Rng.of(3))) {
      model.save(folder);
      Map<String, Safetensors.Entry> renamed = new LinkedHashMap<>();
      try (Safetensors file = Safetensors.open(folder.resolve(WEIGHTS))) {
        for (String name : file.names()) {
          String old =
              name.replace("to_q", "query")
                  .replace("to_k", "key")
                  .replace("to_v", "value")
                  .replace("to_out.0", "proj_attn");
          renamed.put(old, new Safetensors.Entry(DType.F32, file.shape(name), file.floats(name)));
        }
      }
      assertTrue(renamed.containsKey("mid_block.attentions.0.proj_attn.bias"));
      Safetensors.write(folder.resolve(WEIGHTS), renamed, Map.of());
      try (UNet read = UNet.load(folder, device)) {
        String name = "mid_block.attentions.0.to_v.weight";
        assertArrayEquals(
            model.parameters().get(name).value().toFloats(),
            read.parameters().get(name).value().toFloats());
      }
    }
  }

  @Test
  void labelsOfClassesAreAskedForAndChecked() {
    Map<String, Object> config = Configs.plain();
    config.put("num_class_embeds", 3);
    try (UNet model = UNet.random(UNetConfig.of(config), device, Rng.of(3));
        UNet without = UNet.random(UNetConfig.of(Configs.plain()), device, Rng.of(3))) {
      int channels = model.config().inChannels();
      Tensor x = Rng.of(1).normal(device, 2, 8, 8, channels);
      Tensor t = device.tensor(new double[] {3, 500}, 2);
      Tensor same = model.forward(x, t, null, device.indices(new int[] {1, 1}, 2));
      Tensor other = model.forward(x, t, null, device.indices(new int[] {1, 2}, 2));
      int size = (int) same.size() / 2;
      assertArrayEquals(
          Arrays.copyOf(same.toDoubles(), size), Arrays.copyOf(other.toDoubles(), size));
      assertTrue(same.toDoubles()[size] != other.toDoubles()[size]);
      double[] weights = {0, 1, 0, 0, 0, 1};
      assertArrayEquals(
          other.toDoubles(), model.forward(x, t, null, device.tensor(weights, 2, 3)).toDoubles());
      String none =
          assertThrows(ReverieException.class, () -> model.forward(x, t, null)).getMessage();
      assertTrue(
          none.contains("expected class labels [2] of I32 or weights [2, 3], got none"), none);
      assertThrows(
          ReverieException.class,
          () -> model.forward(x, t, null, device.tensor(new double[] {1, 1}, 2)));
      assertThrows(
          ReverieException.class,
          () -> without.forward(x, t, null, device.indices(new int[] {1, 1}, 2)));
    }
  }

  @Test
  void shardsAndVariantsAreReadAsTheWholeFile() throws IOException {
    try (UNet model = conditioned()) {
      model.save(folder);
      Map<String, Safetensors.Entry> first = new LinkedHashMap<>();
      Map<String, Safetensors.Entry> second = new LinkedHashMap<>();
      Map<String, Safetensors.Entry> half = new LinkedHashMap<>();
      StringBuilder index = new StringBuilder();
      try (Safetensors file = Safetensors.open(folder.resolve(WEIGHTS))) {
        for (String name : file.names()) {
          Shape shape = file.shape(name);
          boolean down = name.startsWith("down");
          (down ? first : second)
              .put(name, new Safetensors.Entry(DType.F32, shape, file.floats(name)));
          half.put(name, new Safetensors.Entry(DType.BF16, shape, file.floats(name)));
          index
              .append(index.isEmpty() ? "" : ", ")
              .append("\"%s\": \"%s\"".formatted(name, down ? "a.safetensors" : "b.safetensors"));
        }
      }
      Safetensors.write(folder.resolve("a.safetensors"), first, Map.of());
      Safetensors.write(folder.resolve("b.safetensors"), second, Map.of());
      Files.delete(folder.resolve(WEIGHTS));
      Path indexFile = folder.resolve(WEIGHTS + ".index.json");
      Files.writeString(indexFile, "{\"weight_map\": {" + index + "}}");
      assertSameWeights(model, DType.F32);
      Files.delete(indexFile);
      Safetensors.write(folder.resolve("diffusion_pytorch_model.fp16.safetensors"), half, Map.of());
      assertSameWeights(model, DType.BF16);
    }
  }

  private void assertSameWeights(UNet model, DType rounded) {
    try (UNet read = UNet.load(folder, device)) {
      model
          .parameters()
          .all()
          .forEach(p ->
              assertArrayEquals(
                  Arrays.stream(p.value().toDoubles()).map(v -> rounded.round((float) v)).toArray(),
                  read.parameters().get(p.name()).value().toDoubles(),
                  p.name()));
    }
  }

  @Test
  void whatIsWrongWithAFolderIsSaid() throws IOException {
    assertTrue(loading(folder.resolve("nowhere")).contains("which is no folder"));
    assertTrue(loading(folder).contains("expected a folder with config.json"));
    try (UNet model = conditioned()) {
      model.save(folder);
    }
    Files.delete(folder.resolve(WEIGHTS));
    assertTrue(loading(folder).contains("no such file"));
    Files.writeString(folder.resolve("diffusion_pytorch_model.bin"), "pickle");
    assertTrue(loading(folder).contains("from_pretrained(folder)"));
    Files.writeString(folder.resolve(WEIGHTS), "cut off");
    assertTrue(loading(folder).contains(WEIGHTS));
    // Refused before memory is asked for: this would be hundreds of terabytes.
    Map<String, Object> huge = Configs.plain();
    huge.put("block_out_channels", List.of(1 << 20, 1 << 20));
    try (UNet other = UNet.random(UNetConfig.of(Configs.plain()), device, Rng.of(1))) {
      other.save(folder.resolve("huge"));
    }
    Files.writeString(folder.resolve("huge/config.json"), UNetConfig.of(huge).json());
    assertTrue(loading(folder.resolve("huge")).contains("expected [1048576, 3, 3, 3]"));
    try (UNet other = UNet.random(UNetConfig.of(Configs.plain()), device, Rng.of(1))) {
      other.save(folder.resolve("other"));
    }
    Files.copy(
        folder.resolve("other").resolve(WEIGHTS),
        folder.resolve(WEIGHTS),
        java.nio.file.StandardCopyOption.REPLACE_EXISTING);
    assertTrue(loading(folder).contains("\"conv_in.weight\": expected [8, 4, 3, 3]"));
  }

  private String loading(Path path) {
    long before = device.liveBytes();
    String message =
        assertThrows(ReverieException.class, () -> UNet.load(path, device)).getMessage();
    assertEquals(before, device.liveBytes());
    return message;
  }

  @Test
  void aFrozenCopyStaysWhatItWas() {
    try (UNet model = conditioned();
        UNet reference = model.frozenCopy()) {
      double[] before = model.forward(sample, timesteps, context).toDoubles();
      model.parameters().get("conv_out.bias").value().assign(device.full(1, 4));
      assertArrayEquals(before, reference.forward(sample, timesteps, context).toDoubles());
      assertEquals(List.of(), reference.parameters().trainable());
    }
  }

  @Test
  void sidesOfOddLengthComeBack() {
    try (UNet model = conditioned()) {
      Tensor odd = Rng.of(1).normal(device, 2, 7, 5, 4);
      assertEquals(Shape.of(2, 7, 5, 4), model.forward(odd, timesteps, context).shape());
    }
    Map<String, Object> rounding = Configs.conditioned();
    rounding.put("downsample_padding", 0);
    try (UNet model = UNet.random(UNetConfig.of(rounding), device, Rng.of(3))) {
      assertEquals(sample.shape(), model.forward(sample, timesteps, context).shape());
      Tensor odd = Rng.of(1).normal(device, 2, 7, 8, 4);
      assertThrows(ReverieException.class, () -> model.forward(odd, timesteps, context));
    }
  }

  @Test
  void wrongInputsAreErrors() {
    try (UNet model = conditioned();
        UNet plain = UNet.random(UNetConfig.of(Configs.plain()), device, Rng.of(3))) {
      Tensor rgb = Rng.of(1).normal(device, 2, 8, 8, 3);
      assertThrows(ReverieException.class, () -> model.forward(rgb, timesteps, context));
      assertThrows(ReverieException.class, () -> model.forward(sample, timesteps, null));
      assertThrows(
          ReverieException.class, () -> model.forward(sample, timesteps.slice(0, 0, 1), context));
      assertThrows(ReverieException.class, () -> plain.forward(rgb, timesteps, context));
      assertEquals(Shape.of(2, 8, 8, 3), plain.forward(rgb, timesteps, null).shape());
    }
  }
}
