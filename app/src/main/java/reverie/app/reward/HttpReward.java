// SPDX-License-Identifier: Apache-2.0
package reverie.app.reward;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.DoubleStream;
import javax.imageio.ImageIO;
import reverie.app.run.JsonFile;
import reverie.rl.reward.Reward;
import reverie.rl.reward.RewardBatch;
import reverie.tensor.ReverieException;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A reward that a server computes: images go there as JSON, {@code {"images": [base64 PNG, …],
 * "prompts": [text, …], "metadata": [{…}, …]}}, and {@code {"scores": [number, …]}} comes back. A
 * batch is divided into requests, of which several are under way at once. What may pass, such as a
 * server that restarts, is tried again after growing pauses; what does not ends in one error.
 */
public final class HttpReward implements Reward {
  private static final Set<Integer> MAY_PASS = Set.of(408, 425, 429, 500, 502, 503, 504);
  private static final long MAX_ANSWER = 1 << 20;
  private static final int QUOTED = 200;

  private final String name;
  private final Options options;
  private final HttpClient client;
  private final ExecutorService requests;

  /**
   * How the server is asked.
   *
   * @param url where requests are posted
   * @param timeout of one attempt
   * @param imagesEach in one request
   * @param parallel requests under way at once
   * @param attempts before it is given up, at least 1
   * @param pause after the first attempt; it doubles with each
   */
  public record Options(
      URI url, Duration timeout, int imagesEach, int parallel, int attempts, Duration pause) {
    /**
     * Eight images a request, four requests at once, five attempts within a quarter of a minute.
     */
    public static Options of(URI url) {
      return new Options(url, Duration.ofSeconds(60), 8, 4, 5, Duration.ofSeconds(1));
    }

    /** Checks the address and the numbers. */
    public Options {
      boolean web = "http".equals(url.getScheme()) || "https".equals(url.getScheme());
      if (!web || url.getHost() == null) {
        throw new ReverieException(
            "reward http: '" + url + "' is no address of a server",
            "for example http://127.0.0.1:8000/score");
      }
      if (imagesEach < 1 || parallel < 1 || attempts < 1 || !timeout.isPositive()) {
        throw new ReverieException(
            "reward http: expected positive numbers, got "
                + List.of(imagesEach, parallel, attempts, timeout));
      }
    }
  }

  /**
   * Asks a server.
   *
   * @param name in logs and errors
   * @param options how it is asked
   */
  public HttpReward(String name, Options options) {
    this.name = name;
    this.options = options;
    client =
        HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .connectTimeout(options.timeout())
            .build();
    requests =
        Executors.newFixedThreadPool(options.parallel(), Thread.ofPlatform().daemon().factory());
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public double[] score(RewardBatch batch) throws Exception {
    List<Future<double[]>> answers = new ArrayList<>();
    try {
      for (int from = 0; from < batch.size(); from += options.imagesEach()) {
        int first = from;
        int end = Math.min(batch.size(), from + options.imagesEach());
        answers.add(requests.submit(() -> ask(batch, first, end)));
      }
      List<double[]> scores = new ArrayList<>();
      for (Future<double[]> answer : answers) {
        scores.add(answer.get());
      }
      return scores.stream().flatMapToDouble(DoubleStream::of).toArray();
    } catch (ExecutionException e) {
      throw e.getCause() instanceof Exception cause ? cause : e;
    } finally {
      answers.forEach(answer -> answer.cancel(true));
    }
  }

  private double[] ask(RewardBatch batch, int from, int to)
      throws IOException, InterruptedException {
    HttpRequest request =
        HttpRequest.newBuilder(options.url())
            .timeout(options.timeout())
            .header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(body(batch, from, to)))
            .build();
    String problem = "";
    IOException cause = null;
    for (int attempt = 1; attempt <= options.attempts(); attempt++) {
      try {
        HttpResponse<String> response =
            client.send(
                request,
                HttpResponse.BodyHandlers.limiting(
                    HttpResponse.BodyHandlers.ofString(StandardCharsets.UTF_8), MAX_ANSWER));
        if (response.statusCode() == 200) {
          return scores(response.body(), to - from);
        }
        problem = "status " + response.statusCode() + ": " + quoted(response.body());
        if (!MAY_PASS.contains(response.statusCode())) {
          throw failed("the server refused with " + problem, null);
        }
      } catch (IOException e) {
        cause = e;
        problem = e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
      }
      if (attempt < options.attempts()) {
        Thread.sleep(options.pause().multipliedBy(1L << Math.min(attempt - 1, 10)));
      }
    }
    throw failed(
        String.format(
            Locale.ROOT, "%d attempts failed, the last with %s", options.attempts(), problem),
        cause);
  }

  private ReverieException failed(String what, Throwable cause) {
    return new ReverieException(
        "reward " + name + ": " + options.url() + ": " + what,
        "see that the server runs and what it logs; a run goes on from its checkpoint with"
            + " --resume",
        cause);
  }

  private static String body(RewardBatch batch, int from, int to) throws IOException {
    List<String> images = new ArrayList<>();
    List<String> prompts = new ArrayList<>();
    List<Map<String, String>> metadata = new ArrayList<>();
    for (int i = from; i < to; i++) {
      ByteArrayOutputStream png = new ByteArrayOutputStream();
      ImageIO.write(batch.images().image(i), "png", png);
      images.add(Base64.getEncoder().encodeToString(png.toByteArray()));
      prompts.add(batch.prompts().get(i).text());
      metadata.add(batch.prompts().get(i).metadata());
    }
    Map<String, Object> body = new LinkedHashMap<>();
    body.put("images", images);
    body.put("prompts", prompts);
    body.put("metadata", metadata);
    return JsonMapper.shared().writeValueAsString(body);
  }

  private double[] scores(String answer, int expected) {
    JsonNode scores;
    try {
      scores = JsonFile.parse(answer).path("scores");
    } catch (JacksonException e) {
      throw wrong(expected, answer);
    }
    if (!scores.isArray() || scores.size() != expected) {
      throw wrong(expected, answer);
    }
    double[] values = new double[expected];
    for (int i = 0; i < expected; i++) {
      if (!scores.get(i).isNumber()) {
        throw wrong(expected, answer);
      }
      values[i] = scores.get(i).doubleValue();
    }
    return values;
  }

  private ReverieException wrong(int expected, String answer) {
    return new ReverieException(
        String.format(
            Locale.ROOT,
            "reward %s: %s: expected %d scores, got \"%s\"",
            name,
            options.url(),
            expected,
            quoted(answer)),
        "answer with {\"scores\": [0.5, …]}, a number for each image");
  }

  private static String quoted(String text) {
    String line = text.strip();
    return line.length() <= QUOTED ? line : line.substring(0, QUOTED) + "…";
  }

  /** Ends what is under way. */
  @Override
  public void close() {
    requests.shutdownNow();
    client.shutdownNow();
  }
}
