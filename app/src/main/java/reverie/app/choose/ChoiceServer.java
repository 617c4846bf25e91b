// SPDX-License-Identifier: Apache-2.0
package reverie.app.choose;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import reverie.app.files.JsonFile;
import reverie.tensor.ReverieException;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Shows pairs of images in a browser and writes down which of them is chosen. It listens to this
 * machine alone; on any other address it lets only those in who have the token of its address.
 *
 * <p>Pages of other servers that a browser has open cannot choose or look: the name of the host is
 * checked (DNS rebinding), and where a request comes from.
 */
public final class ChoiceServer implements AutoCloseable {
  private static final int MAX_BODY = 1024;
  private static final Pattern IMAGE = Pattern.compile("/image/(\\d{1,9})/([01])");
  private static final Pattern LOCAL =
      Pattern.compile("(localhost|127\\.0\\.0\\.1|\\[::1])(:\\d+)?");
  private static final String POLICY =
      "default-src 'none'; img-src 'self'; connect-src 'self'; style-src 'unsafe-inline';"
          + " script-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";

  private final ImagePairs pairs;
  private final ChoiceLog log;
  private final HttpServer server;
  private final ExecutorService threads = Executors.newFixedThreadPool(4);
  private final String token;
  private final byte[] page;

  /** An answer. */
  private record Answer(int status, String type, byte[] body) {}

  /**
   * Begins to listen.
   *
   * @param host name or address to listen on; only this machine's own needs no token
   * @param port 0 for any that is free
   * @throws ReverieException if the port is taken, or somebody else writes down choices
   */
  public ChoiceServer(ImagePairs pairs, String host, int port) {
    this.pairs = pairs;
    try (InputStream in = ChoiceServer.class.getResourceAsStream("page.html")) {
      page = in.readAllBytes();
      InetAddress address = InetAddress.getByName(host);
      token = address.isLoopbackAddress() ? null : newToken();
      server = HttpServer.create(new InetSocketAddress(address, port), 0);
    } catch (IOException e) {
      throw new ReverieException(
          String.format(
              Locale.ROOT, "preferences: cannot listen on %s:%d: %s", host, port, e.getMessage()),
          "choose another --port or --host",
          e);
    }
    try {
      log = new ChoiceLog(pairs);
    } catch (RuntimeException e) {
      server.stop(0);
      throw e;
    }
    server.setExecutor(threads);
    server.createContext("/", this::handle);
    server.start();
  }

  private static String newToken() {
    byte[] bytes = new byte[16];
    new SecureRandom().nextBytes(bytes);
    return HexFormat.of().formatHex(bytes);
  }

  /** What to open in a browser. */
  public URI address() {
    InetSocketAddress bound = server.getAddress();
    String host =
        bound.getAddress().isAnyLocalAddress()
            ? hostName()
            : bound.getAddress().isLoopbackAddress()
                ? "localhost"
                : bound.getAddress().getHostAddress();
    return URI.create(
        "http://" + host + ":" + bound.getPort() + "/" + (token == null ? "" : "?token=" + token));
  }

  private static String hostName() {
    try {
      return InetAddress.getLocalHost().getHostName();
    } catch (IOException e) {
      return "localhost";
    }
  }

  /** How many pairs have a choice. */
  public int done() {
    return log.done();
  }

  private void handle(HttpExchange exchange) throws IOException {
    try (exchange) {
      Answer answer = answer(exchange);
      exchange.getResponseHeaders().set("Content-Type", answer.type);
      exchange.getResponseHeaders().set("Content-Security-Policy", POLICY);
      exchange.getResponseHeaders().set("X-Content-Type-Options", "nosniff");
      exchange.getResponseHeaders().set("Referrer-Policy", "no-referrer");
      exchange.getResponseHeaders().set("Cache-Control", "no-store");
      exchange.sendResponseHeaders(answer.status, answer.body.length);
      exchange.getResponseBody().write(answer.body);
    }
  }

  private Answer answer(HttpExchange exchange) throws IOException {
    String path = exchange.getRequestURI().getPath();
    String method = exchange.getRequestMethod();
    if (!allowed(exchange)) {
      return text(403, "open the address that ./reverie preferences serve has printed");
    }
    Matcher image = IMAGE.matcher(path);
    if (method.equals("GET") && image.matches()) {
      int pair = Integer.parseInt(image.group(1));
      if (pair < pairs.pairs().size()) {
        String name = pairs.pairs().get(pair).images().get(Integer.parseInt(image.group(2)));
        String type = name.matches("(?i).*\\.jpe?g") ? "image/jpeg" : "image/png";
        return new Answer(200, type, Files.readAllBytes(pairs.folder().resolve(name)));
      }
    }
    return switch (method + " " + path) {
      case "GET /" -> {
        if (token != null) {
          exchange
              .getResponseHeaders()
              .set("Set-Cookie", "token=" + token + "; HttpOnly; SameSite=Strict");
        }
        yield new Answer(200, "text/html; charset=utf-8", page);
      }
      case "GET /state" -> state(200);
      case "POST /choice" -> choose(exchange);
      case "POST /undo" -> state(log.undo() ? 200 : 409);
      default -> text(404, "there is nothing here");
    };
  }

  private Answer choose(HttpExchange exchange) throws IOException {
    byte[] body = exchange.getRequestBody().readNBytes(MAX_BODY);
    JsonNode asked;
    try {
      asked = JsonFile.parse(new String(body, StandardCharsets.UTF_8));
    } catch (JacksonException e) {
      return text(400, "expected {\"pair\": 0, \"choice\": 1}");
    }
    JsonNode pair = asked.path("pair");
    JsonNode choice = asked.path("choice");
    boolean known = pair.isInt() && pair.intValue() >= 0 && pair.intValue() < pairs.pairs().size();
    boolean valid = choice.isNull() || choice.isInt() && (choice.intValue() & ~1) == 0;
    if (!known || !valid) {
      return text(400, "expected {\"pair\": 0, \"choice\": 1}, and null for a tie");
    }
    boolean written = log.choose(pair.intValue(), choice.isNull() ? null : choice.intValue());
    return state(written ? 200 : 409);
  }

  private Answer state(int status) {
    int next = log.next();
    Map<String, Object> state = new LinkedHashMap<>();
    state.put("done", log.done());
    state.put("total", pairs.pairs().size());
    state.put("pair", next < 0 ? null : next);
    state.put("prompt", next < 0 ? null : pairs.pairs().get(next).prompt());
    state.put(
        "images", next < 0 ? List.of() : List.of("/image/" + next + "/0", "/image/" + next + "/1"));
    return new Answer(status, "application/json", JsonMapper.shared().writeValueAsBytes(state));
  }

  private static Answer text(int status, String text) {
    return new Answer(
        status, "text/plain; charset=utf-8", (text + "\n").getBytes(StandardCharsets.UTF_8));
  }

  private boolean allowed(HttpExchange exchange) {
    String host = exchange.getRequestHeaders().getFirst("Host");
    String origin = exchange.getRequestHeaders().getFirst("Origin");
    if (host == null || origin != null && !origin.equals("http://" + host)) {
      return false;
    }
    if (token == null) {
      return LOCAL.matcher(host).matches();
    }
    String cookies = String.valueOf(exchange.getRequestHeaders().getFirst("Cookie"));
    String query = String.valueOf(exchange.getRequestURI().getQuery());
    return List.of((cookies + "; " + query.replace('&', ';')).split(";\\s*")).stream()
        .anyMatch(given ->
            MessageDigest.isEqual(
                given.getBytes(StandardCharsets.UTF_8),
                ("token=" + token).getBytes(StandardCharsets.UTF_8)));
  }

  @Override
  public void close() {
    server.stop(0);
    threads.shutdownNow();
    log.close();
  }
}
