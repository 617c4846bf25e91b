// SPDX-License-Identifier: Apache-2.0
package reverie.bench.peer;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.Stream;
import reverie.app.command.Benchmarks.Way;
import reverie.tensor.ReverieException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** PyTorch in a Python process of its own, reached through its standard streams. */
final class PythonTorch implements LibTorch {
  private static final String PROGRAM = "torch_peer.py";
  private static final String SCRIPT = "steps.txt";
  private static final int PIECE = 1 << 16;
  private static final int TAIL = 12;

  private final JsonMapper json = JsonMapper.builder().build();
  private final Path folder;
  private final Process process;
  private final OutputStream to;
  private final InputStream from;

  private record Remote(PythonTorch owner, int key) implements Values {
    @Override
    public void close() {
      owner.ask(Map.of("do", "close", "values", key));
    }
  }

  /**
   * Starts a process.
   *
   * @param python the interpreter, for instance {@code python3}
   * @param device {@code cuda} or {@code cpu}
   * @param precision {@code float32}, {@code tf32} or {@code bf16}
   * @param way eager or compiled
   * @param methods the text of the module
   */
  PythonTorch(String python, String device, String precision, Way way, String methods) {
    try {
      folder = Files.createTempDirectory("reverie-torch");
      try (InputStream program = PythonTorch.class.getResourceAsStream(PROGRAM)) {
        Files.copy(program, folder.resolve(PROGRAM));
      }
      Path script = Files.writeString(folder.resolve(SCRIPT), methods);
      process =
          new ProcessBuilder(
                  python,
                  folder.resolve(PROGRAM).toString(),
                  device,
                  precision,
                  way.title(),
                  script.toString())
              .redirectError(log().toFile())
              .start();
    } catch (IOException e) {
      throw new ReverieException(
          "bench: " + python + " cannot be started: " + e,
          "name a Python with PyTorch by --python",
          e);
    }
    to = new BufferedOutputStream(process.getOutputStream(), PIECE);
    from = new BufferedInputStream(process.getInputStream(), PIECE);
  }

  private Path log() {
    return folder.resolve("log.txt");
  }

  /** The version. */
  String title() {
    return ask(Map.of("do", "about")).get("about").asString();
  }

  @Override
  public Values values(List<HostTensor> tensors) {
    List<long[]> shapes = tensors.stream().map(HostTensor::shape).toList();
    JsonNode answer = ask(Map.of("do", "values", "shapes", shapes), tensors);
    return new Remote(this, answer.get("values").asInt());
  }

  @Override
  public Values run(String method, Values... lists) {
    JsonNode answer = ask(Map.of("do", "run", "method", method, "lists", keys(lists)));
    return new Remote(this, answer.get("values").asInt());
  }

  @Override
  public double millis(int repeats, String method, Values... lists) {
    return ask(Map.of("do", "time", "repeats", repeats, "method", method, "lists", keys(lists)))
        .get("millis")
        .asDouble();
  }

  /** The most memory of the device that it has taken, in 2^20 bytes. */
  double peakMegabytes() {
    return ask(Map.of("do", "peak")).get("megabytes").asDouble();
  }

  private static int[] keys(Values... lists) {
    return Stream.of(lists).mapToInt(list -> ((Remote) list).key).toArray();
  }

  @Override
  public void read(Values values, Consumer<float[]> each) {
    JsonNode counts = ask(Map.of("do", "read", "values", ((Remote) values).key)).get("counts");
    try {
      for (JsonNode count : counts) {
        each.accept(read(count.asInt()));
      }
    } catch (IOException e) {
      throw ended(e);
    }
  }

  private float[] read(int count) throws IOException {
    float[] tensor = new float[count];
    for (int done = 0; done < count; done += PIECE) {
      int some = Math.min(PIECE, count - done);
      byte[] bytes = from.readNBytes(4 * some);
      if (bytes.length < 4 * some) {
        throw new IOException("no more numbers");
      }
      ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(tensor, done, some);
    }
    return tensor;
  }

  private JsonNode ask(Map<String, Object> question) {
    return ask(question, List.of());
  }

  private synchronized JsonNode ask(Map<String, Object> question, List<HostTensor> tensors) {
    try {
      to.write((json.writeValueAsString(question) + "\n").getBytes(StandardCharsets.UTF_8));
      for (HostTensor tensor : tensors) {
        write(tensor.values());
      }
      to.flush();
      JsonNode answer = json.readTree(line());
      if (answer.has("error")) {
        throw new ReverieException("bench: PyTorch says: " + answer.get("error").asString());
      }
      return answer;
    } catch (IOException e) {
      throw ended(e);
    }
  }

  private void write(float... tensor) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(4 * PIECE).order(ByteOrder.LITTLE_ENDIAN);
    for (int done = 0; done < tensor.length; done += PIECE) {
      int count = Math.min(PIECE, tensor.length - done);
      bytes.asFloatBuffer().put(tensor, done, count);
      to.write(bytes.array(), 0, 4 * count);
    }
  }

  private String line() throws IOException {
    ByteArrayOutputStream line = new ByteArrayOutputStream();
    for (int next = from.read(); next != '\n'; next = from.read()) {
      if (next < 0) {
        throw new IOException("no answer");
      }
      line.write(next);
    }
    return line.toString(StandardCharsets.UTF_8);
  }

  private ReverieException ended(IOException cause) {
    String said = "";
    try {
      List<String> lines = Files.readAllLines(log());
      said = String.join("\n", lines.subList(Math.max(0, lines.size() - TAIL), lines.size()));
    } catch (IOException e) {
      cause.addSuppressed(e);
    }
    return new ReverieException("bench: the process of PyTorch ended: " + said, null, cause);
  }

  @Override
  public void close() {
    process.destroy();
    try {
      process.waitFor();
      for (Path file : List.of(folder.resolve(PROGRAM), folder.resolve(SCRIPT), log(), folder)) {
        Files.deleteIfExists(file);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
