// SPDX-License-Identifier: Apache-2.0
package reverie.app.choose;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import reverie.app.data.ImageSize;
import reverie.app.data.PreferenceFile;
import reverie.tensor.ReverieException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

@Timeout(120)
class ChoiceServerTest {
  @TempDir Path folder;
  private final HttpClient client = HttpClient.newHttpClient();

  /** Pairs of images of one colour each. */
  static ImagePairs pairs(Path folder, String... prompts) {
    List<BufferedImage> images = new ArrayList<>();
    for (int i = 0; i < 2 * prompts.length; i++) {
      BufferedImage image = new BufferedImage(16, 16, BufferedImage.TYPE_INT_RGB);
      for (int p = 0; p < 256; p++) {
        image.setRGB(p % 16, p / 16, (60 + 20 * i) << (i % 2 == 0 ? 16 : 8) | (p / 16 * 12));
      }
      images.add(image);
    }
    return ImagePairs.write(folder, List.of(prompts), images);
  }

  private HttpResponse<byte[]> send(HttpRequest.Builder request) throws Exception {
    return client.send(request.build(), HttpResponse.BodyHandlers.ofByteArray());
  }

  private HttpResponse<byte[]> get(URI base, String path) throws Exception {
    return send(HttpRequest.newBuilder(base.resolve(path)));
  }

  private HttpResponse<byte[]> post(URI base, String path, String body) throws Exception {
    return send(
        HttpRequest.newBuilder(base.resolve(path)).POST(HttpRequest.BodyPublishers.ofString(body)));
  }

  private static String state(HttpResponse<byte[]> response) {
    JsonNode state = JsonMapper.shared().readTree(response.body());
    return state.get("done") + "/" + state.get("total") + " " + state.get("pair");
  }

  private List<String> lines() throws IOException {
    return Files.readAllLines(folder.resolve(ChoiceLog.FILE));
  }

  @Test
  void choicesAreWhatDiffusionDpoReads() throws Exception {
    ImagePairs pairs = pairs(folder, "a red cat", "the sea", "a \"dog\"");
    try (ChoiceServer server = new ChoiceServer(pairs, "127.0.0.1", 0)) {
      URI base = server.address();
      String page = new String(get(base, "/").body());
      assertTrue(page.contains("<title>Which image is better?</title>"));
      assertTrue(!page.contains("http:") && !page.contains("https:") && !page.contains("//cdn"));
      assertArrayEquals(
          Files.readAllBytes(folder.resolve("images/000001-1.png")),
          get(base, "/image/1/1").body());
      assertEquals("0/3 0", state(get(base, "/state")));
      assertEquals("1/3 1", state(post(base, "/choice", "{\"pair\": 0, \"choice\": 1}")));
      assertEquals(1, lines().size(), "on the disk before it is acknowledged");
      assertEquals(409, post(base, "/choice", "{\"pair\": 0, \"choice\": 0}").statusCode());
      assertEquals("2/3 2", state(post(base, "/choice", "{\"pair\": 1, \"choice\": null}")));
      assertEquals("1/3 1", state(post(base, "/undo", "{}")));
      assertEquals("2/3 2", state(post(base, "/choice", "{\"pair\": 1, \"choice\": 0}")));
      assertEquals("3/3 null", state(post(base, "/choice", "{\"pair\": 2, \"choice\": null}")));
    }
    assertEquals(3, lines().size());
    PreferenceFile read = PreferenceFile.read(folder.resolve(ChoiceLog.FILE), ImageSize.square(16));
    assertEquals(2, read.size(), "a tie teaches nothing");
    assertEquals("a red cat", read.get(0).prompt().text());
    assertEquals("the sea", read.get(1).prompt().text());
    // The second image of the first pair is green, the first of the second is red.
    assertTrue(read.get(0).chosen()[1] > read.get(0).chosen()[0]);
    assertTrue(read.get(1).chosen()[0] > read.get(1).chosen()[1]);
  }

  @Test
  void nothingIsLostByAKill() throws Exception {
    pairs(folder, "a", "b", "c");
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-cp",
                System.getProperty("java.class.path"),
                Serves.class.getName(),
                folder.toString())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    String first;
    try (var said = process.inputReader()) {
      URI base = URI.create(said.readLine());
      post(base, "/choice", "{\"pair\": 0, \"choice\": 1}");
      post(base, "/choice", "{\"pair\": 1, \"choice\": 0}");
      ReverieException busy =
          assertThrows(
              ReverieException.class,
              () -> new ChoiceServer(ImagePairs.read(folder), "127.0.0.1", 0));
      assertTrue(busy.getMessage().contains("is being written by another"), busy::getMessage);
    } finally {
      process.destroyForcibly().waitFor();
      first = Files.readString(folder.resolve(ChoiceLog.FILE));
    }
    assertEquals(2, first.lines().count());
    // What a crash of the machine may leave of a line that nobody was told of.
    Files.writeString(
        folder.resolve(ChoiceLog.FILE), "{\"prompt\":\"c\",\"im", StandardOpenOption.APPEND);
    try (ChoiceServer server = new ChoiceServer(ImagePairs.read(folder), "127.0.0.1", 0)) {
      assertEquals("2/3 2", state(get(server.address(), "/state")));
      assertEquals(first, Files.readString(folder.resolve(ChoiceLog.FILE)));
      assertEquals("1/3 1", state(post(server.address(), "/undo", "{}")));
    }
    assertEquals(first.lines().findFirst().orElseThrow() + "\n", String.join("\n", lines()) + "\n");
  }

  /** What the process does that is killed. */
  static final class Serves {
    private Serves() {}

    public static void main(String[] arguments) throws InterruptedException {
      var server = new ChoiceServer(ImagePairs.read(Path.of(arguments[0])), "127.0.0.1", 0);
      System.out.println(server.address());
      Thread.sleep(120_000);
      server.close();
    }
  }

  @Test
  void othersAreLetInByTheTokenAlone() throws Exception {
    ImagePairs pairs = pairs(folder, "a");
    try (ChoiceServer server = new ChoiceServer(pairs, "0.0.0.0", 0)) {
      assertTrue(server.address().getQuery().matches("token=[0-9a-f]{32}"));
      URI base = URI.create("http://127.0.0.1:" + server.address().getPort() + "/");
      for (String path : List.of("/", "/state", "/image/0/0", "/state?token=", "/?token=0")) {
        assertEquals(403, get(base, path).statusCode(), path);
      }
      assertEquals(403, post(base, "/choice", "{\"pair\": 0, \"choice\": 1}").statusCode());
      HttpResponse<byte[]> page = get(base, "/?" + server.address().getQuery());
      assertEquals(200, page.statusCode());
      String cookie = page.headers().firstValue("Set-Cookie").orElseThrow();
      assertTrue(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), cookie);
      var next =
          HttpRequest.newBuilder(base.resolve("/state"))
              .header("Cookie", cookie.substring(0, cookie.indexOf(';')));
      assertEquals("0/1 0", state(send(next)));
    }
    assertEquals(List.of(), lines());
  }

  @Test
  void requestsWithoutTokenOrWithNonsenseAreRefused() throws Exception {
    ImagePairs pairs = pairs(folder, "a", "b");
    try (ChoiceServer server = new ChoiceServer(pairs, "127.0.0.1", 0)) {
      URI base = server.address();
      var foreign =
          HttpRequest.newBuilder(base.resolve("/choice"))
              .header("Origin", "http://evil.example")
              .POST(HttpRequest.BodyPublishers.ofString("{\"pair\": 0, \"choice\": 1}"));
      assertEquals(403, send(foreign).statusCode());
      for (String body :
          List.of(
              "",
              "hello",
              "[]",
              "{\"pair\": 2, \"choice\": 1}",
              "{\"pair\": -1, \"choice\": 1}",
              "{\"pair\": 0}",
              "{\"pair\": 0, \"choice\": 2}",
              "{\"pair\": 0, \"choice\": 0.5}",
              "{\"pair\": \"0\", \"choice\": 1}",
              " ".repeat(5000) + "{\"pair\": 0, \"choice\": 1}")) {
        assertEquals(400, post(base, "/choice", body).statusCode(), body);
      }
      for (String path :
          List.of("/image/2/0", "/image/0/2", "/image/../pairs.jsonl", "/pairs.jsonl", "/choice")) {
        assertEquals(404, get(base, path).statusCode(), path);
      }
      assertEquals(409, post(base, "/undo", "{}").statusCode());
    }
    assertEquals(List.of(), lines());
    try (var socket = new java.net.ServerSocket(0, 1, java.net.InetAddress.getLoopbackAddress())) {
      refused("cannot listen on 127.0.0.1:" + socket.getLocalPort(), socket.getLocalPort());
    }
    Files.writeString(folder.resolve(ChoiceLog.FILE), "{\"prompt\": \"a\", \"choice\": 1}\n");
    refused("line 1 of", 0);
    Files.writeString(folder.resolve(ImagePairs.FILE), "{\"prompt\": \"a\"}\n");
    assertThrows(ReverieException.class, () -> ImagePairs.read(folder));
  }

  /** A list of pairs may come from anywhere: what it names is shown only if it is an image. */
  @Test
  void hostilePairsAreOneError() throws IOException {
    pairs(folder, "a");
    Path secret = Files.writeString(folder.resolve("secret.txt"), "the password");
    for (String images :
        List.of(
            "",
            "{\"a\": \"images/000000-0.png\", \"b\": \"images/000000-1.png\"}",
            "[\"images/000000-0.png\\u0000\", \"images/000000-1.png\"]",
            "[\"images/000000-0.png\", \"" + secret + "\"]",
            "[\"images/000000-0.png\", \"images\"]",
            "[\"images/000000-0.png\", \"absent.png\"]",
            "[\"images/000000-0.png\", 7]")) {
      String line = images.isEmpty() ? "" : "{\"prompt\": \"a\", \"images\": " + images + "}\n";
      Files.writeString(folder.resolve(ImagePairs.FILE), line);
      var error = assertThrows(ReverieException.class, () -> ImagePairs.read(folder), line);
      assertTrue(error.getMessage().contains("\nhint: "), error::getMessage);
    }
  }

  @Test
  void linksOfStrangersAreNotFollowed() throws IOException {
    ImagePairs pairs = pairs(folder, "a");
    Path precious = Files.writeString(folder.resolve("precious"), "without an end of line");
    Files.createSymbolicLink(folder.resolve(ChoiceLog.FILE), precious);
    var error = assertThrows(ReverieException.class, () -> new ChoiceServer(pairs, "127.0.0.1", 0));
    assertTrue(error.getMessage().contains("\nhint: "), error::getMessage);
    assertEquals("without an end of line", Files.readString(precious));
  }

  private void refused(String part, int port) {
    var error =
        assertThrows(
            ReverieException.class,
            () -> new ChoiceServer(ImagePairs.read(folder), "127.0.0.1", port));
    assertTrue(error.getMessage().contains(part), error::getMessage);
    assertTrue(error.getMessage().contains("\nhint: "), error::getMessage);
  }
}
