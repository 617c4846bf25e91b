// SPDX-License-Identifier: Apache-2.0
package reverie.unet;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import reverie.tensor.ReverieException;

class UNetConfigTest {
  @Test
  void whatIsLeftOutHasTheDefaultOfTheClass() {
    UNetConfig plain = UNetConfig.parse("{\"_class_name\": \"UNet2DModel\"}");
    assertEquals(3, plain.inChannels());
    assertEquals(List.of(224, 448, 672, 896), plain.blockOutChannels());
    assertEquals(List.of(2, 2, 2, 2), plain.layersPerBlock());
    assertEquals(List.of(8, 8, 8, 8), plain.attentionHeadDim());
    assertEquals(896, plain.timeEmbeddingDim());
    assertEquals("UNetMidBlock2D", plain.midBlockType());
    assertEquals(List.of(), plain.sampleSize());
    UNetConfig conditioned = UNetConfig.parse("{\"_class_name\": \"UNet2DConditionModel\"}");
    assertEquals(4, conditioned.outChannels());
    assertEquals(1280, conditioned.crossAttentionDim().getFirst());
    assertEquals("UNetMidBlock2DCrossAttn", conditioned.midBlockType());
  }

  @Test
  void oneValueStandsForAllLevels() {
    UNetConfig c = Configs.with(Configs.conditioned(), "attention_head_dim", List.of(2, 4));
    assertEquals(List.of(2, 4), c.attentionHeadDim());
    assertEquals(List.of(12, 12), c.crossAttentionDim());
    assertEquals(List.of(8, 8), c.sampleSize());
  }

  @Test
  void anAbsentHeadSizeMeansOneHead() {
    Map<String, Object> c = Configs.plain();
    c.put("attention_head_dim", null);
    assertEquals(List.of(8, 16), UNetConfig.of(c).attentionHeadDim());
  }

  /** Sampling never reads it. */
  @Test
  void dropoutIsNoReasonToRefuse() {
    assertTrue(Configs.with(Configs.plain(), "dropout", 0.1).json().contains("\"dropout\" : 0.1"));
  }

  @Test
  void unknownKeysAreKept() {
    UNetConfig c = Configs.with(Configs.plain(), "from_a_later_version", List.of(1, "two"));
    UNetConfig again = UNetConfig.parse(c.toJson("1.2.3"));
    assertTrue(again.json().contains("from_a_later_version"));
    assertTrue(again.json().contains("\"_diffusers_version\" : \"1.2.3\""), again.json());
    assertEquals(again.json(), again.toJson("9"));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "class_embed_type=\"simple_projection\"",
        "class_embed_type=\"projection\"",
        "class_embeddings_concat=true",
        "num_class_embeds=0",
        "layers_per_block=1048576",
        "transformer_layers_per_block=101",
        "addition_embed_type=\"text_time\"",
        "encoder_hid_dim=32",
        "dual_cross_attention=true",
        "time_embedding_type=\"fourier\"",
        "timestep_post_act=\"silu\"",
        "attention_type=\"gated\"",
        "act_fn=\"mish\"",
        "resnet_time_scale_shift=\"ada_group\"",
        "down_block_types=[\"SimpleCrossAttnDownBlock2D\", \"DownBlock2D\"]",
        "mid_block_type=\"UNetMidBlock2DSimpleCrossAttn\"",
        "layers_per_block=\"two\"",
        "block_out_channels=[8]",
        "up_block_types=[\"UpBlock2D\"]",
        "norm_num_groups=null",
        "norm_num_groups=3",
        "attention_head_dim=64",
        "sample_size=[1, 2, 3]",
        "block_out_channels=[-8, 16]",
        "layers_per_block=0",
        "in_channels=99999999999",
        "downsample_padding=2",
        "block_out_channels=[]"
      })
  void whatIsNotSupportedIsNamed(String setting) {
    String key = setting.substring(0, setting.indexOf('='));
    String json =
        "{"
            + Arrays.stream(json(Configs.conditioned()).split("\n"))
                .filter(line -> !line.contains("\"" + key + "\""))
                .reduce("", String::concat)
            + "\""
            + key
            + "\": "
            + setting.substring(setting.indexOf('=') + 1)
            + "}";
    ReverieException e =
        assertThrows(
            ReverieException.class,
            () -> new UNet(UNetConfig.parse(json), reverie.autograd.nn.Parameters.shapesOnly()));
    String name = key.equals("norm_num_groups") && setting.endsWith("3") ? "3 groups" : key;
    assertTrue(e.getMessage().contains(name), e.getMessage());
    assertFalse(e.getMessage().contains("Exception"), e.getMessage());
  }

  /** One line per key. */
  private static String json(Map<String, Object> config) {
    StringBuilder lines = new StringBuilder();
    config.forEach((key, value) -> {
      String text =
          value instanceof String s
              ? "\"" + s + "\""
              : value instanceof List<?> l && l.getFirst() instanceof String
                  ? "[\"" + String.join("\",\"", l.stream().map(Object::toString).toList()) + "\"]"
                  : value.toString();
      lines.append('"').append(key).append("\": ").append(text).append(",\n");
    });
    return lines.toString();
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "{", "[1]", "{\"_class_name\": \"VQModel\"}", "{}"})
  void whatIsNoConfigurationIsAnError(String json) {
    ReverieException e = assertThrows(ReverieException.class, () -> UNetConfig.parse(json));
    assertTrue(e.getMessage().startsWith("unet config: "), e.getMessage());
  }

  @Test
  void aMissingFileIsAnError(@TempDir Path folder) {
    ReverieException e = assertThrows(ReverieException.class, () -> UNetConfig.read(folder));
    assertTrue(e.getMessage().contains("config.json"), e.getMessage());
  }
}
