// SPDX-License-Identifier: Apache-2.0
package reverie.app.reward;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import reverie.app.text.MiniLm;
import reverie.rl.prompt.Prompt;
import reverie.rl.reward.Images;
import reverie.rl.reward.RewardBatch;
import reverie.tensor.ReverieException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Against a server on this machine that speaks OpenAI's protocol: working, slow, dead, or answering
 * garbage.
 */
@Timeout(120)
class DescribeRewardTest {
  private final AtomicInteger asked = new AtomicInteger();
  private HttpServer server;

  private interface Answer {
    void to(HttpExchange exchange, int attempt, JsonNode question) throws Exception;
  }

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

  private void answers(Answer answer) {
    server.createContext(
        "/v1/chat/completions",
        exchange -> {
          try (exchange) {
            JsonNode question = JsonMapper.shared().readTree(exchange.getRequestBody());
            answer.to(exchange, asked.incrementAndGet(), question);
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

  private static String said(String content) {
    return "{\"id\": \"1\", \"choices\": [{\"index\": 0, \"message\": {\"role\": \"assistant\","
        + " \"content\": \""
        + content
        + "\"}, \"finish_reason\": \"stop\"}]}";
  }

  /** What a vision model would say: red images show cats. */
  private static String described(JsonNode question) throws IOException {
    assertEquals("tiny", question.get("model").stringValue());
    assertEquals(0, question.get("temperature").intValue());
    JsonNode content = question.get("messages").get(0).get("content");
    assertEquals("What is it?", content.get(0).get("text").stringValue());
    String url = content.get(1).get("image_url").get("url").stringValue();
    String start = "data:image/png;base64,";
    assertTrue(url.startsWith(start), url);
    byte[] png = Base64.getDecoder().decode(url.substring(start.length()));
    int red = ImageIO.read(new ByteArrayInputStream(png)).getRGB(0, 0) >> 16 & 255;
    return red > 128 ? "a red cat" : "the dark sea";
  }

  private DescribeReward reward(String idf, double timeout, String key) {
    String url = "http://127.0.0.1:" + server.getAddress().getPort() + "/v1";
    return new DescribeReward(
        "describe",
        new DescribeReward.Options(
            url, "tiny", "What is it?", 20, "minilm", idf, 0, timeout, 2, 3, 0.01, key));
  }

  private static RewardBatch batch(String... prompts) {
    byte[] pixels = new byte[prompts.length * 12];
    for (int i = 0; i < pixels.length; i++) {
      pixels[i] = (byte) (i / 12 % 2 == 0 ? 255 : 0);
    }
    return new RewardBatch(
        new Images(pixels, prompts.length, 2, 2, 3),
        new float[pixels.length],
        List.of(prompts).stream().map(Prompt::new).toList());
  }

  @Test
  void theRewardIsHowMuchOfThePromptIsDescribed(@TempDir Path folder) throws Exception {
    answers((exchange, attempt, question) -> {
      Thread.sleep(attempt == 1 ? 50 : 0); // the first answers last
      assertEquals(
          "Bearer " + System.getenv("PATH"),
          exchange.getRequestHeaders().getFirst("Authorization"));
      send(exchange, 200, said(described(question)));
    });
    String[] prompts = {"a red cat", "a red cat", "the sea at night"};
    double[] expected = new double[3];
    try (var encoder = MiniLm.open()) {
      BertScore score = new BertScore(encoder, List.of(), 0);
      expected[0] = score.recall(prompts[0], "a red cat");
      expected[1] = score.recall(prompts[1], "the dark sea");
      expected[2] = score.recall(prompts[2], "a red cat");
    }
    try (DescribeReward reward = reward("", 60, "PATH")) {
      double[] scores = reward.score(batch(prompts));
      for (int i = 0; i < 3; i++) {
        assertEquals(expected[i], scores[i]);
      }
      assertEquals(1, scores[0], 1e-6);
    }
    Path file = Files.writeString(folder.resolve("p.txt"), "a red cat\na red dog\na red sea\n");
    try (DescribeReward reward = reward(file.toString(), 60, "PATH")) {
      assertTrue(reward.score(batch(prompts))[1] != expected[1], "rare words weigh more");
    }
  }

  @Test
  void whatPassesIsTriedAgain() throws Exception {
    answers((exchange, attempt, question) -> {
      switch (attempt) {
        case 1 -> send(exchange, 503, "loading");
        case 2 -> {} // dies without an answer
        default -> send(exchange, 200, said(described(question)));
      }
    });
    try (DescribeReward reward = reward("", 60, "")) {
      assertEquals(1, reward.score(batch("a red cat"))[0], 1e-6);
    }
    assertEquals(3, asked.get());
  }

  @Test
  void aSlowServerIsGivenUp() {
    answers((_, _, _) -> Thread.sleep(3_000));
    refused("3 attempts failed, the last with no answer after 0.2 s", reward("", 0.2, ""));
    assertEquals(3, asked.get());
  }

  @Test
  void garbageIsQuotedAndKeysAreNot() {
    String[] garbage = {
      "hello", "[]", "{\"choices\": []}", "{\"choices\": [{\"message\": {\"content\": null}}]}"
    };
    answers((exchange, attempt, _) -> send(exchange, 200, garbage[attempt - 1]));
    for (String each : garbage) {
      refused("expected a chat completion, got \"" + each, reward("", 60, ""));
    }
    server.removeContext("/v1/chat/completions");
    answers((exchange, _, _) ->
        send(exchange, 401, "bad key " + exchange.getRequestHeaders().getFirst("Authorization")));
    refused("refused with status 401: bad key Bearer ***", reward("", 60, "PATH"));
  }

  private static void refused(String part, DescribeReward reward) {
    try (reward) {
      var error = assertThrows(ReverieException.class, () -> reward.score(batch("a red cat")));
      assertTrue(error.getMessage().contains(part), error::getMessage);
      assertTrue(error.getMessage().contains("/v1/chat/completions: "), error::getMessage);
      assertTrue(error.getMessage().contains("\nhint: "), error::getMessage);
    }
  }

  @Test
  void encodersAreChecked(@TempDir Path folder) throws IOException {
    Files.writeString(folder.resolve("tokenizer.json"), "{}");
    for (String encoder : List.of("/no/such/folder", folder.toString())) {
      var options =
          new DescribeReward.Options(
              "http://127.0.0.1:1/v1", "m", "q", 1, encoder, "", 0, 1, 1, 1, 0, "");
      try (DescribeReward reward = new DescribeReward("describe", options)) {
        assertThrows(ReverieException.class, reward::start);
      }
    }
  }
}
