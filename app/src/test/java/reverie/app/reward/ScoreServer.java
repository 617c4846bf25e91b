// SPDX-License-Identifier: Apache-2.0
package reverie.app.reward;

import com.sun.net.httpserver.HttpServer;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import javax.imageio.ImageIO;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A server on this machine that scores the red of an image's first pixel. */
public final class ScoreServer implements AutoCloseable {
  private final HttpServer server;
  private final AtomicInteger images = new AtomicInteger();

  public ScoreServer() throws IOException {
    this(0, Integer.MAX_VALUE);
  }

  /** On a port, or any if it is 0; no longer answers after so many images. */
  public ScoreServer(int port, int last) throws IOException {
    server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 0);
    server.setExecutor(Executors.newCachedThreadPool());
    server.createContext(
        "/score",
        exchange -> {
          try (exchange) {
            if (images.get() >= last) {
              return;
            }
            List<Integer> scores = new ArrayList<>();
            JsonNode question = JsonMapper.shared().readTree(exchange.getRequestBody());
            for (JsonNode image : question.get("images")) {
              byte[] png = Base64.getDecoder().decode(image.stringValue());
              BufferedImage decoded = ImageIO.read(new ByteArrayInputStream(png));
              scores.add(decoded.getRGB(0, 0) >> 16 & 255);
              images.incrementAndGet();
            }
            byte[] answer = JsonMapper.shared().writeValueAsBytes(Map.of("scores", scores));
            exchange.sendResponseHeaders(200, answer.length);
            exchange.getResponseBody().write(answer);
          }
        });
    server.start();
  }

  public String url() {
    return "http://127.0.0.1:" + server.getAddress().getPort() + "/score";
  }

  public int port() {
    return server.getAddress().getPort();
  }

  /** How many images it scored. */
  public int images() {
    return images.get();
  }

  @Override
  public void close() {
    server.stop(0);
  }
}
