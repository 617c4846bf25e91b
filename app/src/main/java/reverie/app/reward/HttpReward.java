// SPDX-License-Identifier: Apache-2.0
package reverie.app.reward;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.DoubleStream;
import reverie.app.files.JsonFile;
import reverie.rl.reward.Reward;
import reverie.rl.reward.RewardBatch;
import reverie.tensor.ReverieException;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A reward that a server computes: images go there as JSON, {@code {"images": [base64 PNG, …],
 * "prompts": [text, …], "metadata": [{…}, …]}}, and {@code {"scores": [number, …]}} comes back. A
 * batch is divided into requests, of which several are under way at once.
 */
public final class HttpReward implements Reward {
  private final String name;
  private final int imagesEach;
  private final Endpoint endpoint;

  /**
   * How the server is asked.
   *
   * @param url where requests are posted
   * @param imagesEach in one request
   * @param timeoutSeconds of one attempt
   * @param parallel requests under way at once
   * @param attempts before it is given up, at least 1
   * @param pauseSeconds after the first attempt; it doubles with each
   * @param keyVariable environment variable whose value is sent as bearer token; empty for none
   */
  public record Options(
      String url,
      int imagesEach,
      double timeoutSeconds,
      int parallel,
      int attempts,
      double pauseSeconds,
      String keyVariable)
      implements ServerReward {
    /** Checks the address and the numbers. */
    public Options {
      var _ =
          new Endpoint.Settings(url, timeoutSeconds, parallel, attempts, pauseSeconds, keyVariable);
      if (imagesEach < 1) {
        throw new ReverieException(
            "reward: expected at least 1 image in a request, got " + imagesEach,
            "for example images_each: 8");
      }
    }

    /**
     * Eight images a request, four requests at once, five attempts within a quarter of a minute.
     */
    public static Options of(String url) {
      return new Options(url, 8, 60, 4, 5, 1, "");
    }

    @Override
    public String title() {
      return "http";
    }

    @Override
    public Reward make(String name) {
      return new HttpReward(name, this);
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
    imagesEach = options.imagesEach;
    endpoint = new Endpoint(name, options.endpoint(options.url));
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public double[] score(RewardBatch batch) throws Exception {
    List<Callable<double[]>> requests = new ArrayList<>();
    for (int from = 0; from < batch.size(); from += imagesEach) {
      int first = from;
      int end = Math.min(batch.size(), from + imagesEach);
      requests.add(() -> scores(endpoint.post(body(batch, first, end)), end - first));
    }
    return endpoint.all(requests).stream().flatMapToDouble(DoubleStream::of).toArray();
  }

  private static String body(RewardBatch batch, int from, int to) {
    List<String> images = new ArrayList<>();
    List<String> prompts = new ArrayList<>();
    List<Map<String, String>> metadata = new ArrayList<>();
    for (int i = from; i < to; i++) {
      images.add(Endpoint.png(batch.images(), i));
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
    return endpoint.wrong(
        expected + " scores",
        answer,
        "answer with {\"scores\": [0.5, …]}, a number for each image");
  }

  /** Ends what is under way. */
  @Override
  public void close() {
    endpoint.close();
  }
}
