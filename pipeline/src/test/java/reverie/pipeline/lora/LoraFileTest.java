// SPDX-License-Identifier: Apache-2.0
package reverie.pipeline.lora;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import reverie.autograd.nn.Conv2d;
import reverie.autograd.nn.Linear;
import reverie.autograd.nn.Lora;
import reverie.autograd.nn.Parameters;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Shape;
import reverie.tensor.io.Safetensors;

class LoraFileTest {
  @TempDir private Path folder;
  private final Device device = Device.cpu();
  private Scope scope;
  private Path file;
  private Parameters unet;
  private Parameters text;

  @BeforeEach
  void models() {
    scope = Scope.open("test");
    file = folder.resolve(LoraFile.NAME);
    unet = Parameters.random(device, Rng.of(1));
    new Linear(unet.at("block.0.attn1.to_q"), 6, 4, false);
    new Linear(unet.at("block.0.attn1.to_out.0"), 4, 6, true);
    new Conv2d(unet.at("block.0.proj_in"), 6, 6, 1, 1, 0);
    new Conv2d(unet.at("block.0.conv"), 6, 6, 3, 1, 1);
    text = Parameters.random(device, Rng.of(2));
    new Linear(text.at("text_model.layers.0.self_attn.q_proj"), 5, 5, true);
  }

  @AfterEach
  void close() {
    unet.close();
    text.close();
    scope.close();
  }

  private Map<String, Lora> adapters() {
    Map<String, Lora.Size> sizes = new LinkedHashMap<>();
    sizes.put("block.0.attn1.to_q", new Lora.Size(2, 3));
    sizes.put("block.0.attn1.to_out.0", new Lora.Size(2, 2));
    sizes.put("block.0.proj_in", new Lora.Size(3, 1));
    Map<String, Lora> parts = new LinkedHashMap<>();
    parts.put(LoraFile.UNET, new Lora(unet, sizes, Rng.of(3)));
    parts.put(
        LoraFile.TEXT_ENCODER,
        new Lora(text, new Lora.Size(1, 2), name -> name.endsWith("q_proj"), Rng.of(4)));
    parts
        .values()
        .forEach(lora ->
            lora.adapters()
                .forEach(a ->
                    a.b()
                        .value()
                        .assign(Rng.of(5).fork(a.module()).normal(device, a.b().shape().dims()))));
    return parts;
  }

  /** The weights with the adapters, by part and name. */
  private Map<String, double[]> effective() {
    Map<String, double[]> all = new LinkedHashMap<>();
    unet.all().forEach(p -> all.put("unet." + p.name(), p.effective().toDoubles()));
    text.all().forEach(p -> all.put("text." + p.name(), p.effective().toDoubles()));
    return all;
  }

  private Map<String, Parameters> parts() {
    Map<String, Parameters> parts = new LinkedHashMap<>();
    parts.put(LoraFile.UNET, unet);
    parts.put(LoraFile.TEXT_ENCODER, text);
    return parts;
  }

  @ParameterizedTest
  @EnumSource(LoraFile.Format.class)
  void whatIsWrittenIsReadAgain(LoraFile.Format format) {
    Map<String, Lora> written = adapters();
    LoraFile.write(file, written, format, DType.F32);
    Map<String, double[]> expected = effective();
    written.values().forEach(Lora::close);
    Map<String, Lora> read = LoraFile.read(file, parts());
    assertEquals(3, read.get(LoraFile.UNET).adapters().size());
    assertEquals(1, read.get(LoraFile.TEXT_ENCODER).adapters().size());
    effective()
        .forEach((name, values) -> assertArrayEquals(expected.get(name), values, 1e-6, name));
    if (format == LoraFile.Format.KOHYA) {
      for (Lora.Adapter adapter : read.get(LoraFile.UNET).adapters()) {
        if (adapter.module().endsWith("to_q")) {
          assertEquals(new Lora.Size(2, 3), adapter.size());
        }
      }
    }
    read.values().forEach(Lora::close);
  }

  @Test
  void namesAndMetadataAreThoseOfDiffusers() {
    Map<String, Lora> written = adapters();
    LoraFile.write(file, written, LoraFile.Format.DIFFUSERS, DType.F16);
    try (Safetensors read = Safetensors.open(file)) {
      assertEquals(Shape.of(2, 6), read.shape("unet.block.0.attn1.to_q.lora_A.weight"));
      assertEquals(Shape.of(6, 3, 1, 1), read.shape("unet.block.0.proj_in.lora_B.weight"));
      assertEquals(DType.F16, read.dtype("unet.block.0.attn1.to_out.0.lora_B.weight"));
      assertTrue(
          read.names().contains("text_encoder.text_model.layers.0.self_attn.q_proj.lora_A.weight"));
      assertEquals("pt", read.metadata().get("format"));
      String config = read.metadata().get("lora_adapter_metadata");
      assertTrue(config.contains("\"unet.r\" : 2"), config);
      assertTrue(config.contains("\"block.0.proj_in\" : 3"), config);
      assertTrue(config.contains("\"text_encoder.lora_alpha\" : 1"), config);
    }
    written.values().forEach(Lora::close);
  }

  @Test
  void namesOfKohyaHaveUnderscores() {
    Map<String, Lora> written = adapters();
    LoraFile.write(file, written, LoraFile.Format.KOHYA, DType.F32);
    try (Safetensors read = Safetensors.open(file)) {
      assertEquals(Shape.of(), read.shape("lora_unet_block_0_attn1_to_out_0.alpha"));
      assertEquals(3, read.floats("lora_unet_block_0_attn1_to_q.alpha")[0]);
      assertTrue(
          read.names().contains("lora_te_text_model_layers_0_self_attn_q_proj.lora_up.weight"));
    }
    written.values().forEach(Lora::close);
  }

  @Test
  void averagesAreWrittenInTheirPlace() {
    Map<String, Lora> written = adapters();
    Lora lora = written.get(LoraFile.UNET);
    try (Parameters average = lora.parameters().copy()) {
      average.all().forEach(p -> p.value().assign(p.value().mul(0.5)));
      lora.with(
          average,
          () -> {
            LoraFile.write(file, Map.of(LoraFile.UNET, lora), LoraFile.Format.KOHYA, DType.F32);
            return null;
          });
      try (Safetensors read = Safetensors.open(file)) {
        assertArrayEquals(
            average.get("block.0.attn1.to_q.lora_A.weight").value().toFloats(),
            read.floats("lora_unet_block_0_attn1_to_q.lora_down.weight"));
      }
    }
    written.values().forEach(Lora::close);
  }

  @Test
  void alphaOfMetadataCounts() {
    write(
        Map.of(
            "lora_adapter_metadata",
            "{\"unet.r\": 1, \"unet.lora_alpha\": 4, \"unet.alpha_pattern\":"
                + " {\"block.0.attn\\\\d.to_out.0\": 8, \"to_out.0\": 5}}"),
        Map.of(
            "unet.block.0.attn1.to_q.lora_A.weight", new int[] {1, 6},
            "unet.block.0.attn1.to_q.lora_B.weight", new int[] {4, 1},
            "unet.block.0.attn1.to_out.0.lora_A.weight", new int[] {1, 4},
            "unet.block.0.attn1.to_out.0.lora_B.weight", new int[] {6, 1}));
    try (Lora lora = LoraFile.read(file, parts()).get(LoraFile.UNET)) {
      lora.adapters()
          .forEach(
              a -> assertEquals(a.module().endsWith("to_q") ? 4 : 8, a.size().alpha(), a.module()));
    }
  }

  /** By √r, and where a rank is the usual one nothing more is said of it. */
  @Test
  void rankStabilisedAdaptersAreDividedByTheRoot() {
    write(
        Map.of(
            "lora_adapter_metadata",
            "{\"unet.r\": 4, \"unet.lora_alpha\": 6, \"unet.use_rslora\": true}"),
        Map.of(
            "unet.block.0.attn1.to_q.lora_A.weight", new int[] {4, 6},
            "unet.block.0.attn1.to_q.lora_B.weight", new int[] {4, 4}));
    try (Lora lora = LoraFile.read(file, parts()).get(LoraFile.UNET)) {
      // α/√r = 3 = 12/4.
      assertEquals(new Lora.Size(4, 12), lora.adapters().getFirst().size());
    }
  }

  /** In text encoders the old names of projections were those of the U-Net. */
  @Test
  void oldNamesOfTextEncodersAreRead() {
    String module = "text_encoder.text_model.layers.0.self_attn.to_q_lora.";
    write(
        Map.of(),
        Map.of(module + "down.weight", new int[] {1, 5}, module + "up.weight", new int[] {5, 1}));
    try (Lora lora = LoraFile.read(file, parts()).get(LoraFile.TEXT_ENCODER)) {
      assertEquals("text_model.layers.0.self_attn.q_proj", lora.adapters().getFirst().module());
    }
  }

  /** A is the name of the first matrix and B that of the second, or the only one is refused. */
  @ParameterizedTest
  @CsvSource({
    "unet.block.0.attn1.to_q.lora_A.weight, unet.block.0.attn1.to_q.lora_B.weight",
    "block.0.attn1.to_q.lora_A.weight, block.0.attn1.to_q.lora_B.weight",
    "base_model.model.block.0.attn1.to_q.lora_A.weight, base_model.model.block.0.attn1.to_q.lora_B.weight",
    "base_model.model.block.0.attn1.to_q.lora_A.default.weight, base_model.model.block.0.attn1.to_q.lora_B.default.weight",
    "unet.base_model.model.block.0.attn1.to_q.lora_A.style-2.weight, unet.base_model.model.block.0.attn1.to_q.lora_B.style-2.weight",
    "module.unet.block.0.attn1.to_q.lora_A.weight, module.unet.block.0.attn1.to_q.lora_B.weight",
    "unet.module._orig_mod.block.0.attn1.to_q.lora_A.weight, unet.module._orig_mod.block.0.attn1.to_q.lora_B.weight",
    "_orig_mod.base_model.model.block.0.attn1.to_q.lora_A.weight, _orig_mod.base_model.model.block.0.attn1.to_q.lora_B.weight",
    "unet.block.0.attn1.to_q.lora.down.weight, unet.block.0.attn1.to_q.lora.up.weight",
    "unet.block.0.attn1.to_q.lora_linear_layer.down.weight, unet.block.0.attn1.to_q.lora_linear_layer.up.weight",
    "block.0.attn1.processor.to_q_lora.down.weight, block.0.attn1.processor.to_q_lora.up.weight",
    "unet.block.0.attn1.processor.to_q_lora.down.weight, unet.block.0.attn1.processor.to_q_lora.up.weight",
    "lora_unet_block_0_attn1_to_q.lora_down.weight, lora_unet_block_0_attn1_to_q.lora_up.weight",
    "lora_unet_block_0_attn1_to_q.lora_A.weight, lora_unet_block_0_attn1_to_q.lora_B.weight",
  })
  void namesOfManyToolsAreRead(String a, String b) {
    write(Map.of(), Map.of(a, new int[] {1, 6}, b, new int[] {4, 1}));
    try (Lora lora = LoraFile.read(file, parts()).get(LoraFile.UNET)) {
      assertEquals("block.0.attn1.to_q", lora.adapters().getFirst().module());
      assertEquals(1, lora.adapters().size());
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "lora_te1_text_model_layers_0_self_attn_q_proj.lora_down.weight",
        "lora_unet_block_0_attn1_to_q.dora_scale",
        "unet.block.0.attn1.to_q.lora_magnitude_vector",
        "lora_unet_block_0_attn1_to_q.lokr_w1",
        "diffusion_model.input_blocks.1.1.attn1.to_q.lora_A.weight",
        "transformer.block.0.attn1.to_q.lora_A.weight",
        "unet.block.0.attn1.to_q.base_layer.weight",
        "unet.block.0.attn1.to_q.weight",
        "0",
        "",
      })
  void otherNamesAreRefusedByName(String name) {
    write(Map.of(), Map.of(name, new int[] {1, 6}));
    assertTrue(failure().contains("1 other tensors: " + name), failure());
  }

  @Test
  void twoAdaptersOfOneModuleAreRefused() {
    write(
        Map.of(),
        Map.of(
            "unet.block.0.attn1.to_q.lora_A.one.weight", new int[] {1, 6},
            "unet.block.0.attn1.to_q.lora_A.two.weight", new int[] {1, 6}));
    assertTrue(failure().contains("one tensor for each matrix"), failure());
  }

  @Test
  void otherFilesAreRefused() {
    write(Map.of(), Map.of("unet.block.9.attn1.to_q.lora_A.weight", new int[] {1, 6}));
    assertTrue(failure().contains("unet.block.9.attn1.to_q.lora_A.weight"), failure());
    write(Map.of(), Map.of("unet.block.0.attn1.to_q.lora_A.weight", new int[] {1, 6}));
    assertTrue(failure().contains("two matrices for unet.block.0.attn1.to_q"), failure());
    write(
        Map.of(),
        Map.of(
            "unet.block.0.attn1.to_q.lora_A.weight", new int[] {1, 5},
            "unet.block.0.attn1.to_q.lora_B.weight", new int[] {4, 1}));
    assertTrue(failure().contains("[r, 6]"), failure());
    write(Map.of(), Map.of("lora_unet_block_0_attn1_to_q.hada_w1_a", new int[] {1, 5}));
    assertTrue(failure().contains("LoHa"), failure());
    write(
        Map.of(),
        Map.of(
            "unet.block.0.conv.lora_A.weight", new int[] {1, 6, 3, 3},
            "unet.block.0.conv.lora_B.weight", new int[] {6, 1, 1, 1}));
    assertTrue(failure().contains("linear layers and 1×1 convolutions"), failure());
  }

  private void write(Map<String, String> metadata, Map<String, int[]> shapes) {
    Map<String, Safetensors.Entry> entries = new LinkedHashMap<>();
    shapes.forEach((name, dims) -> {
      Shape shape = Shape.of(dims);
      entries.put(
          name, new Safetensors.Entry(DType.F32, shape, new float[Math.toIntExact(shape.size())]));
    });
    Safetensors.write(file, entries, metadata);
  }

  private String failure() {
    return assertThrows(ReverieException.class, () -> LoraFile.read(file, parts())).getMessage();
  }
}
