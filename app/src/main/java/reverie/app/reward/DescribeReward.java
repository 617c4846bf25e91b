// SPDX-License-Identifier: Apache-2.0
package reverie.app.reward;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import reverie.app.files.JsonFile;
import reverie.app.text.MiniLm;
import reverie.app.text.TokenEncoder;
import reverie.rl.prompt.Prompt;
import reverie.rl.prompt.PromptSource;
import reverie.rl.reward.Images;
import reverie.rl.reward.Reward;
import reverie.rl.reward.RewardBatch;
import reverie.tensor.ReverieException;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * DDPO's reward of alignment (Black et al. 2024, §5.2): a vision model describes the image, and the
 * reward is how much of the prompt is in the description, by {@link BertScore}. The model is asked
 * by the protocol of OpenAI's {@code /v1/chat/completions}, which most servers of models speak.
 */
public final class DescribeReward implements Reward {
  private static final String PATH = "/chat/completions";

  private final String name;
  private final Options options;
  private final Endpoint endpoint;
  private BertScore score;
  private TokenEncoder encoder;

  /**
   * Which model is asked, and how its answer is compared.
   *
   * @param url of the server, up to {@code /v1}, or with {@code /chat/completions}
   * @param model its name there
   * @param question what it is asked about each image
   * @param maxTokens of a description
   * @param encoder a folder with {@code model.onnx} and {@code tokenizer.json}, or "minilm"
   * @param idfPrompts a text file with a prompt a line, over which the weights of tokens are
   *     counted; empty for equal weights
   * @param baseline of the rescaling; 0 for none
   * @param timeoutSeconds of one attempt
   * @param parallel requests under way at once
   * @param attempts before it is given up, at least 1
   * @param pauseSeconds after the first attempt; it doubles with each
   * @param keyVariable environment variable whose value is sent as bearer token; empty for none
   */
  public record Options(
      String url,
      String model,
      String question,
      int maxTokens,
      String encoder,
      String idfPrompts,
      double baseline,
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
      if (model.isBlank() || question.isBlank() || maxTokens < 1) {
        throw new ReverieException(
            "reward describe: expected a model, a question and at least 1 token",
            "for example {describe: {url: http://127.0.0.1:8000/v1, model: llava}}");
      }
    }

    /** MiniLM compares; 4 requests at once, 5 attempts. */
    public static Options of(String url, String model) {
      return new Options(
          url, model, "Describe this image in one sentence.", 64, "minilm", "", 0, 60, 4, 5, 1, "");
    }

    @Override
    public String title() {
      return "describe";
    }

    @Override
    public Reward make(String name) {
      return new DescribeReward(name, this);
    }

    private Endpoint.Settings endpoint() {
      String base = url.endsWith("/") ? url.substring(0, url.length() - 1) : url;
      return endpoint(base.endsWith(PATH) ? base : base + PATH);
    }
  }

  /**
   * Asks nothing yet.
   *
   * @param name in logs and errors
   */
  public DescribeReward(String name, Options options) {
    this.name = name;
    this.options = options;
    endpoint = new Endpoint(name, options.endpoint());
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public synchronized void start() {
    if (score == null) {
      List<String> references =
          options.idfPrompts.isEmpty()
              ? List.of()
              : PromptSource.fromFile(Path.of(options.idfPrompts)).all().stream()
                  .map(Prompt::text)
                  .toList();
      encoder =
          options.encoder.equals("minilm")
              ? MiniLm.open()
              : TokenEncoder.read(Path.of(options.encoder));
      score = new BertScore(encoder, references, options.baseline);
    }
  }

  @Override
  public double[] score(RewardBatch batch) throws Exception {
    start();
    List<Callable<String>> requests = new ArrayList<>();
    for (int i = 0; i < batch.size(); i++) {
      int index = i;
      requests.add(() -> description(batch.images(), index));
    }
    List<String> descriptions = endpoint.all(requests);
    double[] scores = new double[batch.size()];
    for (int i = 0; i < scores.length; i++) {
      scores[i] = score.recall(batch.prompts().get(i).text(), descriptions.get(i));
    }
    return scores;
  }

  private String description(Images images, int index) throws InterruptedException {
    String image = "data:image/png;base64," + Endpoint.png(images, index);
    Map<String, Object> body =
        Map.of(
            "model",
            options.model,
            "max_tokens",
            options.maxTokens,
            "temperature",
            0,
            "messages",
            List.of(
                Map.of(
                    "role",
                    "user",
                    "content",
                    List.of(
                        Map.of("type", "text", "text", options.question),
                        Map.of("type", "image_url", "image_url", Map.of("url", image))))));
    String answer = endpoint.post(JsonMapper.shared().writeValueAsString(body));
    JsonNode content;
    try {
      content = JsonFile.parse(answer).path("choices").path(0).path("message").path("content");
    } catch (JacksonException e) {
      throw wrong(answer);
    }
    if (!content.isString()) {
      throw wrong(answer);
    }
    return content.stringValue();
  }

  private ReverieException wrong(String answer) {
    return endpoint.wrong(
        "a chat completion",
        answer,
        "answer with {\"choices\": [{\"message\": {\"content\": \"a cat on a mat\"}}]}");
  }

  /** Ends what is under way. */
  @Override
  public synchronized void close() {
    endpoint.close();
    if (encoder != null) {
      encoder.close();
      encoder = null;
      score = null;
    }
  }
}
