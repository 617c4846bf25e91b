// SPDX-License-Identifier: Apache-2.0
package reverie.app.reward;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import reverie.rl.prompt.Prompt;
import reverie.rl.reward.Images;
import reverie.rl.reward.ProcessReward;
import reverie.rl.reward.RewardBatch;
import reverie.tensor.ReverieException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Against a server on this machine that works, is slow, dies, or answers garbage. */
@Timeout(120)
class HttpRewardTest {
  private final List<Integer> sizes = Collections.synchronizedList(new ArrayList<>());
  private final AtomicInteger asked = new AtomicInteger();
  private HttpServer server;

  @BeforeEach
  void start() throws IOException {
    server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.setExecutor(Executors.newCachedThreadPool());
    server.start();
  }

  @AfterEach
  void stop() {
    server.stop(0);
  }

  private HttpReward reward() {
    return reward(60);
  }

  private HttpReward reward(double timeout) {
    String url = "http://127.0.0.1:" + server.getAddress().getPort() + "/score";
    return new HttpReward("judge", new HttpReward.Options(url, 2, timeout, 3, 3, 0.01, ""));
  }

  private interface Answer {
    String to(JsonNode question) throws Exception;
  }

  private void answers(Answer answer) {
    server.createContext(
        "/score",
        exchange -> {
          try (exchange) {
            asked.incrementAndGet();
            String text = answer.to(JsonMapper.shared().readTree(exchange.getRequestBody()));
            send(exchange, 200, text);
          } catch (Exception e) {
            throw new IOException(e);
          }
        });
  }

  private static void send(HttpExchange exchange, int status, String text) throws IOException {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    exchange.sendResponseHeaders(status, bytes.length);
    exchange.getResponseBody().write(bytes);
  }

  /** The red of the first pixel, which says which image it is. */
  private String reds(JsonNode question) throws IOException {
    sizes.add(question.get("images").size());
    List<Double> scores = new ArrayList<>();
    for (int i = 0; i < question.get("images").size(); i++) {
      byte[] png = Base64.getDecoder().decode(question.get("images").get(i).stringValue());
      int red = ImageIO.read(new ByteArrayInputStream(png)).getRGB(0, 0) >> 16 & 255;
      assertEquals("prompt " + red, question.get("prompts").get(i).stringValue());
      assertEquals("m" + red, question.get("metadata").get(i).get("id").stringValue());
      scores.add(red / 2.0);
    }
    return JsonMapper.shared().writeValueAsString(Map.of("scores", scores));
  }

  @Test
  void scoresComeInTheOrderOfTheImages() throws Exception {
    answers(question -> {
      Thread.sleep(question.get("images").size() == 1 ? 0 : 30); // the last request answers first
      return reds(question);
    });
    try (HttpReward reward = reward()) {
      assertArrayEquals(new double[] {0, 0.5, 1, 1.5, 2}, reward.score(batch(5)));
      assertArrayEquals(new double[] {0}, reward.score(batch(1)));
    }
    Collections.sort(sizes);
    assertEquals(List.of(1, 1, 2, 2), sizes);
  }

  @Test
  void whatPassesIsTriedAgain() throws Exception {
    server.createContext(
        "/score",
        exchange -> {
          try (exchange) {
            int attempt = asked.incrementAndGet();
            JsonNode question = JsonMapper.shared().readTree(exchange.getRequestBody());
            if (attempt == 1) {
              send(exchange, 503, "loading");
            } else if (attempt > 2) {
              send(exchange, 200, reds(question));
            } // the second ends without an answer
          }
        });
    try (HttpReward reward = reward()) {
      assertArrayEquals(new double[] {0, 0.5}, reward.score(batch(2)));
    }
    assertEquals(3, asked.get());
  }

  @Test
  void pausesDouble() {
    assertEquals(1500, Endpoint.pause(1.5, 1));
    assertEquals(3000, Endpoint.pause(1.5, 2));
    assertEquals(12_000, Endpoint.pause(1.5, 4));
    assertEquals(Endpoint.pause(1.5, 11), Endpoint.pause(1.5, 1_000_000));
  }

  @Test
  void aSlowServerIsGivenUp() {
    answers(question -> {
      Thread.sleep(5_000);
      return reds(question);
    });
    refused(reward(0.3), "3 attempts failed, the last with no answer after 0.3 s");
    assertEquals(3, asked.get());
  }

  /** Headers in time, and a body that never ends. */
  @Test
  void aStalledAnswerIsGivenUp() {
    server.createContext(
        "/score",
        exchange -> {
          asked.incrementAndGet();
          exchange.sendResponseHeaders(200, 100);
          exchange.getResponseBody().write('{');
          exchange.getResponseBody().flush();
        });
    refused(reward(0.3), "3 attempts failed, the last with no answer after 0.3 s");
    assertEquals(3, asked.get());
  }

  @Test
  void aBusyServerIsGivenTheTimeItAsksFor() throws Exception {
    long[] times = new long[2];
    server.createContext(
        "/score",
        exchange -> {
          try (exchange) {
            JsonNode question = JsonMapper.shared().readTree(exchange.getRequestBody());
            int attempt = asked.getAndIncrement();
            times[attempt] = System.nanoTime();
            exchange.getResponseHeaders().add("Retry-After", "1");
            send(exchange, attempt == 0 ? 429 : 200, attempt == 0 ? "later" : reds(question));
          }
        });
    try (HttpReward reward = reward()) {
      assertArrayEquals(new double[] {0, 0.5}, reward.score(batch(2)));
    }
    assertTrue(times[1] - times[0] >= 999_000_000L);
  }

  @Test
  void aKeyComesFromTheEnvironmentAndIsNotRepeated() {
    server.createContext(
        "/score",
        exchange -> {
          try (exchange) {
            send(exchange, 401, exchange.getRequestHeaders().getFirst("Authorization") + " is bad");
          }
        });
    String url = "http://127.0.0.1:" + server.getAddress().getPort() + "/score";
    var options = new HttpReward.Options(url, 2, 9, 1, 1, 0, "PATH");
    refused(new HttpReward("judge", options), "refused with status 401: Bearer *** is bad");
    var absent = new HttpReward.Options(url, 2, 9, 1, 1, 0, "NO_SUCH_KEY");
    var error = assertThrows(ReverieException.class, () -> new HttpReward("judge", absent));
    assertTrue(error.getMessage().contains("NO_SUCH_KEY is not set"), error::getMessage);
    error =
        assertThrows(
            ReverieException.class, () -> HttpReward.Options.of("http://me:secret@host/score"));
    assertFalse(error.getMessage().contains("secret"), error::getMessage);
  }

  /** A header's error would repeat it. */
  @Test
  void aKeyIsOneLine() {
    assertEquals("secret", Endpoint.key("judge", "KEY", " secret\r\n"));
    for (String odd : List.of("sec\nret", "sec\u0000ret", "secrét")) {
      var error = assertThrows(ReverieException.class, () -> Endpoint.key("judge", "KEY", odd));
      assertTrue(error.getMessage().contains("variable KEY holds characters"), error::getMessage);
      assertFalse(error.getMessage().contains("sec"), error::getMessage);
    }
  }

  @Test
  void aServerThatIsNotThereIsGivenUp() {
    server.stop(0);
    refused("3 attempts failed, the last with ");
  }

  @Test
  void aRefusalIsNotTriedAgain() {
    server.createContext(
        "/score",
        exchange -> {
          try (exchange) {
            asked.incrementAndGet();
            send(exchange, 401, "no key, no score");
          }
        });
    refused("the server refused with status 401: no key, no score");
    assertEquals(1, asked.get());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "hello",
        "[]",
        "{}",
        "{\"scores\": 3}",
        "{\"scores\": [1]}",
        "{\"scores\": [1, 2, 3]}",
        "{\"scores\": [1, null]}",
        "{\"scores\": [1, \"2\"]}",
        "{\"scores\": [1, NaN]}",
        "{\"scores\": [[1], [2]]}",
        "{\"scores\": [1, 2], \"scores\": [3, 4]}",
        "<html>{\"scores\": [1, 2]}</html>"
      })
  void garbageIsQuoted(String garbage) {
    answers(_ -> garbage);
    refused("expected 2 scores, got \"" + garbage);
  }

  @Test
  void anEndlessAnswerFillsNoMemory() {
    answers(_ -> "x".repeat(3 << 20));
    refused("attempts failed");
  }

  @Test
  void addressesAreChecked() {
    for (String url : List.of("score", "ftp://host/x", "http:/score", "file:///etc/passwd")) {
      var error = assertThrows(ReverieException.class, () -> HttpReward.Options.of(url));
      assertTrue(error.getMessage().contains("is no address of a server"), error::getMessage);
    }
  }

  @Test
  void theServerOfTheDocumentsAnswers() throws Exception {
    Process python = python("-u", "../docs/rewards/server.py", "0");
    try (var lines = python.inputReader()) {
      String port = lines.readLine().replaceAll("\\D", "");
      var options = HttpReward.Options.of("http://127.0.0.1:" + port + "/score");
      try (HttpReward reward = new HttpReward("red", options)) {
        double[] scores = reward.score(batch(20));
        assertEquals(20, scores.length);
        assertTrue(IntStream.range(0, 20).allMatch(i -> Double.isFinite(scores[i])));
      }
    } finally {
      python.destroyForcibly();
    }
  }

  @Test
  void theProgramOfTheDocumentsAnswers() throws Exception {
    python("--version").waitFor();
    var command = List.of("python3", "../docs/rewards/count_words.py");
    try (ProcessReward reward = new ProcessReward(command)) {
      assertEquals("count_words", reward.name());
      assertArrayEquals(new double[] {2, 2, 2}, reward.score(batch(3)));
      assertArrayEquals(new double[] {2}, reward.score(batch(1)));
    }
  }

  private static Process python(String... arguments) {
    List<String> command = new ArrayList<>(List.of("python3"));
    command.addAll(List.of(arguments));
    try {
      return new ProcessBuilder(command).redirectErrorStream(true).start();
    } catch (IOException e) {
      assumeTrue(false, "no python3 here: " + e.getMessage());
      throw new AssertionError(e);
    }
  }

  private void refused(String part) {
    refused(reward(), part);
  }

  private static void refused(HttpReward reward, String part) {
    try (reward) {
      var error = assertThrows(ReverieException.class, () -> reward.score(batch(2)));
      assertTrue(
          error.getMessage().startsWith("reward judge: http://127.0.0.1:"), error::getMessage);
      assertTrue(error.getMessage().contains(part), error::getMessage);
      assertTrue(error.getMessage().contains("\nhint: "), error::getMessage);
    }
  }

  private static RewardBatch batch(int size) {
    byte[] pixels = new byte[size * 12];
    for (int i = 0; i < size; i++) {
      pixels[12 * i] = (byte) i;
    }
    return new RewardBatch(
        new Images(pixels, size, 2, 2, 3),
        new float[size * 12],
        IntStream.range(0, size)
            .mapToObj(i -> new Prompt("prompt " + i, Map.of("id", "m" + i)))
            .toList());
  }
}
