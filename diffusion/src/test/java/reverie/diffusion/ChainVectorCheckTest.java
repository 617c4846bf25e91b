// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.URISyntaxException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Shape;
import reverie.tensor.io.Safetensors;
import tools.jackson.databind.json.JsonMapper;

/** The reference files of reverse chains, on the float64 device. */
class ChainVectorCheckTest {
  static Path file() throws URISyntaxException {
    return file("ddim_log_prob.safetensors");
  }

  /** Chains of flows, from the formulas of the public code: flow_chains.py made them. */
  static Path flows() throws URISyntaxException {
    return file("flow_chains.safetensors");
  }

  private static Path file(String name) throws URISyntaxException {
    return Path.of(ChainVectorCheckTest.class.getResource(name).toURI());
  }

  @Test
  void everyFiniteRowAgrees() throws URISyntaxException {
    List<ChainVectorCheck.Row> rows = ChainVectorCheck.run(file(), Device.reference());
    ChainVectorCheck.Row worst =
        rows.stream().max(Comparator.comparingDouble(ChainVectorCheck.Row::error)).get();
    assertEquals(72 * 3, rows.size());
    assertTrue(worst.error() < 1e-4, worst::toString);
    // 24 cases have three decisions; the other 48 end in a step without noise, where the source has
    // NaN.
    assertEquals(
        72 * 3 - 48,
        rows.stream()
            .filter(r -> r.tensor().equals("log_prob_mean"))
            .mapToInt(r -> r.rows())
            .sum());
    assertEquals(
        48,
        rows.stream()
            .filter(r -> r.tensor().equals("log_prob_mean"))
            .mapToInt(r -> r.excluded())
            .sum());
  }

  @Test
  void chainsOfFlowsAgree() throws URISyntaxException {
    List<ChainVectorCheck.Row> rows = ChainVectorCheck.run(flows(), Device.reference());
    ChainVectorCheck.Row worst =
        rows.stream().max(Comparator.comparingDouble(ChainVectorCheck.Row::error)).get();
    assertEquals(12 * 4, rows.size());
    assertTrue(worst.error() < 1e-12, worst::toString);
    // Two samples; three kinds of noise on 4, 10 and 6 steps, of which the last is no decision.
    assertEquals(
        2 * 3 * (3 + 9 + 5),
        rows.stream()
            .filter(r -> r.tensor().equals("log_prob_mean"))
            .mapToInt(r -> r.rows())
            .sum());
  }

  @ParameterizedTest
  @ValueSource(strings = {"timesteps", "x", "log_prob_mean", "grad_model_output"})
  void aWrongValueOfAFlowIsSeen(String tensor, @TempDir Path folder) throws Exception {
    byte[] bytes = Files.readAllBytes(flows());
    int last = tensor.equals("x") ? 24 * Double.BYTES : 0;
    bytes[offset(bytes, "case4." + tensor) + last + Double.BYTES - 2] ^= 0x08;
    Path wrong = Files.write(folder.resolve("wrong.safetensors"), bytes);
    assertTrue(error(wrong, "case4", tensor) > 1e-3);
    assertTrue(error(wrong, "case5", tensor) < 1e-12);
  }

  @Test
  void aNoiseThatIsNotKnownIsNamed(@TempDir Path folder) {
    Path other = folder.resolve("other.safetensors");
    Safetensors.write(
        other,
        Map.of("a", new Safetensors.Entry(DType.F32, Shape.of(1), 1)),
        Map.of(
            "cases",
            """
            [{"id": 0, "scheduler": {"_class_name": "FlowMatchEulerDiscreteScheduler"}, "steps": 4,
              "noise": "brown", "level": 0.5}]\
            """));
    ReverieException e =
        assertThrows(ReverieException.class, () -> ChainVectorCheck.run(other, Device.reference()));
    assertTrue(e.getMessage().contains("brown"), e::getMessage);
  }

  /** Where a tensor's values begin in the file. */
  private static int offset(byte[] bytes, String tensor) {
    int header = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getInt();
    String json = new String(bytes, 8, header, StandardCharsets.UTF_8);
    return 8
        + header
        + JsonMapper.shared().readTree(json).get(tensor).get("data_offsets").get(0).intValue();
  }

  private static double error(Path file, String settings, String tensor) {
    return ChainVectorCheck.run(file, Device.reference()).stream()
        .filter(r -> r.settings().startsWith(settings + " ") && r.tensor().equals(tensor))
        .findFirst()
        .orElseThrow()
        .error();
  }

  @ParameterizedTest
  @ValueSource(strings = {"log_prob_mean", "grad_model_output", "timesteps"})
  void aWrongValueIsSeen(String tensor, @TempDir Path folder) throws Exception {
    byte[] bytes = Files.readAllBytes(file());
    bytes[offset(bytes, "case24." + tensor) + (tensor.equals("timesteps") ? 0 : 2)] ^= 0x40;
    Path wrong = Files.write(folder.resolve("wrong.safetensors"), bytes);
    assertTrue(error(wrong, "case24", tensor) > 1e-3);
    assertTrue(error(wrong, "case25", tensor) < 1e-4);
  }

  @Test
  void aDecisionWithoutAFiniteNumberIsSeen(@TempDir Path folder) throws Exception {
    byte[] bytes = Files.readAllBytes(file());
    ByteBuffer.wrap(bytes)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putFloat(offset(bytes, "case24.log_prob_mean"), Float.NaN);
    Path wrong = Files.write(folder.resolve("wrong.safetensors"), bytes);
    assertEquals(Double.POSITIVE_INFINITY, error(wrong, "case24", "log_prob_mean"));
  }

  @Test
  void filesOfAnotherKindAreRefused(@TempDir Path folder) {
    Path other = folder.resolve("other.safetensors");
    Safetensors.write(
        other, Map.of("a", new Safetensors.Entry(DType.F32, Shape.of(1), 1)), Map.of());
    ReverieException e =
        assertThrows(ReverieException.class, () -> ChainVectorCheck.run(other, Device.reference()));
    assertTrue(e.getMessage().contains("has no list of cases"), e::getMessage);
    Safetensors.write(
        other,
        Map.of("a", new Safetensors.Entry(DType.F32, Shape.of(1), 1)),
        Map.of("cases", "[{\"id\": 0, \"steps\": 10}]"));
    e = assertThrows(ReverieException.class, () -> ChainVectorCheck.run(other, Device.reference()));
    assertTrue(e.getMessage().contains("lacks \"eta\""), e::getMessage);
  }
}
