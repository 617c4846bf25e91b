// SPDX-License-Identifier: Apache-2.0
package reverie.bench.peer;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * What {@code torch_peer.py} says, without PyTorch: every step is nothing but zeros and takes 5 ms.
 * Its first argument is what goes wrong: {@code nothing}, or {@code memory}, of which there is none
 * for a sampling step.
 */
final class FakePeer {
  private final JsonMapper json = JsonMapper.builder().build();
  private final Map<Integer, List<float[]>> values = new HashMap<>();
  private final DataInputStream in = new DataInputStream(new BufferedInputStream(System.in));
  private final PrintStream out = System.out;
  private final String wrong;

  private FakePeer(String wrong) {
    this.wrong = wrong;
  }

  /** A program to be called instead of Python. */
  static Path program(Path folder, String wrong) throws IOException {
    Path java = Path.of(System.getProperty("java.home"), "bin", "java");
    Path program = folder.resolve("python3");
    Files.writeString(
        program,
        "#!/bin/sh\nexec '%s' -cp '%s' %s %s \"$@\"\n"
            .formatted(
                java, System.getProperty("java.class.path"), FakePeer.class.getName(), wrong));
    program.toFile().setExecutable(true);
    return program;
  }

  public static void main(String[] arguments) throws IOException {
    FakePeer peer = new FakePeer(arguments[0]);
    for (String line = peer.line(); !line.isEmpty(); line = peer.line()) {
      peer.answer(peer.json.readTree(line));
    }
  }

  private String line() throws IOException {
    ByteArrayOutputStream line = new ByteArrayOutputStream();
    for (int next = in.read(); next >= 0 && next != '\n'; next = in.read()) {
      line.write(next);
    }
    return line.toString(StandardCharsets.UTF_8);
  }

  private void answer(JsonNode ask) throws IOException {
    List<float[]> tensors = new ArrayList<>();
    switch (ask.get("do").asString()) {
      case "about" -> say("about", "FakeTorch 1");
      case "values" -> {
        for (JsonNode shape : ask.get("shapes")) {
          int count = 1;
          for (JsonNode dim : shape) {
            count *= dim.asInt();
          }
          float[] tensor = new float[count];
          ByteBuffer bytes = ByteBuffer.wrap(in.readNBytes(4 * count));
          bytes.order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(tensor);
          tensors.add(tensor);
        }
        keep(tensors);
      }
      case "run" -> {
        JsonNode lists = ask.get("lists");
        switch (ask.get("method").asString()) {
          case "prepare", "trained" -> keep(values.get(lists.get(0).asInt()));
          case "zeros", "counters" -> {
            values.get(lists.get(0).asInt()).forEach(w -> tensors.add(new float[w.length]));
            keep(tensors);
          }
          case "sampling" -> {
            if (wrong.equals("memory")) {
              System.err.println("CUDA out of memory");
              System.exit(1);
            }
            keep(List.of(new float[values.get(lists.get(1).asInt()).getFirst().length]));
          }
          default -> keep(List.of(new float[1]));
        }
      }
      case "time" -> say("millis", 5 * ask.get("repeats").asInt());
      case "peak" -> say("megabytes", 7);
      case "read" -> {
        List<float[]> asked = values.get(ask.get("values").asInt());
        say("counts", asked.stream().map(tensor -> tensor.length).toList());
        for (float[] tensor : asked) {
          ByteBuffer bytes = ByteBuffer.allocate(4 * tensor.length).order(ByteOrder.LITTLE_ENDIAN);
          bytes.asFloatBuffer().put(tensor);
          out.write(bytes.array());
        }
        out.flush();
      }
      default -> say("closed", List.of());
    }
  }

  private void keep(List<float[]> tensors) {
    values.put(values.size(), List.copyOf(tensors));
    say("values", values.size() - 1);
  }

  private void say(String key, Object value) {
    out.print(json.writeValueAsString(Map.of(key, value)) + "\n");
    out.flush();
  }
}
