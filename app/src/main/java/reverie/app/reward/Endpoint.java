// SPDX-License-Identifier: Apache-2.0
package reverie.app.reward;

import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import reverie.app.data.PngImages;
import reverie.rl.reward.Images;
import reverie.tensor.ReverieException;

/**
 * An address to which JSON is posted, several requests at once. What may pass, such as a server
 * that restarts, is tried again after growing pauses; what does not ends in one error.
 */
final class Endpoint implements AutoCloseable {
  private static final Set<Integer> MAY_PASS = Set.of(408, 425, 429, 500, 502, 503, 504);
  private static final long MAX_ANSWER = 1 << 20;
  private static final long MAX_PAUSE_MILLIS = 60_000;
  private static final int QUOTED = 200;

  private final String reward;
  private final Settings settings;
  private final String key;
  private final HttpClient client;
  private final ExecutorService requests;

  /**
   * How a server is asked.
   *
   * @param url where requests are posted
   * @param timeoutSeconds of one attempt
   * @param parallel requests under way at once
   * @param attempts before it is given up, at least 1
   * @param pauseSeconds after the first attempt; it doubles with each
   * @param keyVariable environment variable whose value is sent as bearer token; empty for none
   */
  record Settings(
      String url,
      double timeoutSeconds,
      int parallel,
      int attempts,
      double pauseSeconds,
      String keyVariable) {
    Settings {
      URI address;
      try {
        address = new URI(url);
      } catch (URISyntaxException e) {
        throw noAddress(url);
      }
      boolean web = "http".equals(address.getScheme()) || "https".equals(address.getScheme());
      if (!web || address.getHost() == null) {
        throw noAddress(url);
      }
      if (address.getUserInfo() != null) {
        throw new ReverieException(
            "reward: the address of " + address.getHost() + " has a name or password in it",
            "put the key into an environment variable and name that as key_variable");
      }
      if (parallel < 1
          || attempts < 1
          || !(timeoutSeconds > 0 && timeoutSeconds < 1e6)
          || !(pauseSeconds >= 0 && pauseSeconds < 1e6)) {
        throw new ReverieException(
            String.format(
                Locale.ROOT,
                "reward: expected positive numbers, got timeout_seconds %s, parallel %d, attempts"
                    + " %d, pause_seconds %s",
                timeoutSeconds,
                parallel,
                attempts,
                pauseSeconds),
            "for example timeout_seconds: 60, parallel: 4, attempts: 5, pause_seconds: 1");
      }
    }

    private static ReverieException noAddress(String url) {
      return new ReverieException(
          "reward: '" + url + "' is no address of a server",
          "for example url: http://127.0.0.1:8000/score");
    }
  }

  /**
   * Asks nothing yet.
   *
   * @param reward whose server it is, for errors
   */
  Endpoint(String reward, Settings settings) {
    this.reward = reward;
    this.settings = settings;
    key =
        settings.keyVariable.isEmpty()
            ? null
            : key(reward, settings.keyVariable, System.getenv(settings.keyVariable));
    client =
        HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .connectTimeout(duration(settings.timeoutSeconds))
            .build();
    requests =
        Executors.newFixedThreadPool(settings.parallel, Thread.ofPlatform().daemon().factory());
  }

  /** The key in an environment variable, whose value is null if it is not set. */
  static String key(String reward, String variable, String value) {
    if (value == null) {
      throw new ReverieException(
          String.format(
              Locale.ROOT, "reward %s: the environment variable %s is not set", reward, variable),
          "export " + variable + "=…, or leave key_variable empty");
    }
    // Files of secrets end with a line.
    String key = value.strip();
    if (key.chars().anyMatch(c -> c < ' ' || c > '~')) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "reward %s: the environment variable %s holds characters that no key has",
              reward,
              variable),
          "export it again, as one line of ASCII");
    }
    return key;
  }

  private static Duration duration(double seconds) {
    return Duration.ofMillis(Math.max(1, Math.round(1000 * Math.min(seconds, 1e9))));
  }

  /** An image as base64 of a PNG file. */
  static String png(Images images, int index) {
    return Base64.getEncoder().encodeToString(PngImages.png(images.image(index)));
  }

  /** Carries out requests at once and gives their results in order; the first failure ends all. */
  <T> List<T> all(List<Callable<T>> tasks) throws Exception {
    List<Future<T>> futures = new ArrayList<>();
    try {
      tasks.forEach(task -> futures.add(requests.submit(task)));
      List<T> results = new ArrayList<>();
      for (Future<T> future : futures) {
        results.add(future.get());
      }
      return results;
    } catch (ExecutionException e) {
      throw e.getCause() instanceof Exception cause ? cause : e;
    } finally {
      futures.forEach(future -> future.cancel(true));
    }
  }

  /** The body of the answer with status 200. */
  String post(String json) throws InterruptedException {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(URI.create(settings.url))
            .header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(json));
    if (key != null) {
      request.header("Authorization", "Bearer " + key);
    }
    String problem = "";
    IOException cause = null;
    for (int attempt = 1; attempt <= settings.attempts; attempt++) {
      long pause = pause(settings.pauseSeconds, attempt);
      try {
        HttpResponse<String> response = send(request.build());
        if (response.statusCode() == 200) {
          return response.body();
        }
        problem = "status " + response.statusCode() + ": " + quoted(response.body());
        if (!MAY_PASS.contains(response.statusCode())) {
          throw failed("the server refused with " + problem, null);
        }
        pause = Math.max(pause, wanted(response));
      } catch (IOException e) {
        cause = e;
        problem = e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
      }
      if (attempt < settings.attempts) {
        Thread.sleep(Math.min(pause, MAX_PAUSE_MILLIS));
      }
    }
    throw failed(
        String.format(
            Locale.ROOT, "%d attempts failed, the last with %s", settings.attempts, problem),
        cause);
  }

  /** Milliseconds after an attempt, from 1, that double with each. */
  static long pause(double seconds, int attempt) {
    return Math.round(1000 * seconds) << Math.min(attempt - 1, 10);
  }

  /** The time-out of a request would end with the headers of its answer. */
  private HttpResponse<String> send(HttpRequest request) throws IOException, InterruptedException {
    Future<HttpResponse<String>> response =
        client.sendAsync(
            request,
            HttpResponse.BodyHandlers.limiting(
                HttpResponse.BodyHandlers.ofString(StandardCharsets.UTF_8), MAX_ANSWER));
    try {
      return response.get(duration(settings.timeoutSeconds).toMillis(), TimeUnit.MILLISECONDS);
    } catch (TimeoutException e) {
      throw new IOException("no answer after " + settings.timeoutSeconds + " s", e);
    } catch (ExecutionException e) {
      throw e.getCause() instanceof IOException io ? io : new IOException(e.getCause());
    } finally {
      response.cancel(true);
    }
  }

  /** The pause that a busy server asks for, in milliseconds. */
  private static long wanted(HttpResponse<?> response) {
    return response
        .headers()
        .firstValue("Retry-After")
        .filter(seconds -> seconds.matches("\\d{1,6}"))
        .map(seconds -> 1000 * Long.parseLong(seconds))
        .orElse(0L);
  }

  private ReverieException failed(String what, Throwable cause) {
    return new ReverieException(
        "reward " + reward + ": " + settings.url + ": " + what,
        "see that the server runs and what it logs; a run goes on from its checkpoint with"
            + " --resume",
        cause);
  }

  /** An answer of another form than was agreed. */
  ReverieException wrong(String expected, String answer, String hint) {
    return new ReverieException(
        String.format(
            Locale.ROOT,
            "reward %s: %s: expected %s, got \"%s\"",
            reward,
            settings.url,
            expected,
            quoted(answer)),
        hint);
  }

  /** Some servers repeat the key that they refuse. */
  private String quoted(String text) {
    String line = (key == null || key.isBlank() ? text : text.replace(key, "***")).strip();
    return line.length() <= QUOTED ? line : line.substring(0, QUOTED) + "…";
  }

  /** Ends what is under way. */
  @Override
  public void close() {
    requests.shutdownNow();
    client.shutdownNow();
  }
}
