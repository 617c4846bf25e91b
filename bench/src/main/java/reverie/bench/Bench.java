// SPDX-License-Identifier: Apache-2.0
package reverie.bench;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import reverie.app.command.Benchmarks;
import reverie.app.run.Environment;
import reverie.bench.peer.PeerBenchmark;
import reverie.bench.report.PeerResults;
import reverie.bench.report.Tables;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import tools.jackson.databind.SerializationFeature;
import tools.jackson.databind.json.JsonMapper;

/** The benchmarks behind {@code ./reverie bench}. */
public final class Bench implements Benchmarks {
  /** For the service loader. */
  public Bench() {}

  @Override
  public void run(Request request, PrintWriter out) {
    Environment machine = Environment.current();
    Map<String, Object> results = new LinkedHashMap<>();
    results.put("machine", machine.toMap());
    results.put("device", Device.cpu().toString());
    if (request.peers()) {
      PeerResults peers =
          new PeerBenchmark(request.only(), request.rounds(), machine.threads(), machine.cpu(), out)
              .run();
      out.println(Tables.peers(peers));
      results.put("rows", peers.rows());
      results.put("all", peers.all());
      results.put("accuracy", peers.accuracy());
    }
    if (request.json() != null) {
      write(request.json(), results);
    }
  }

  private static void write(Path file, Map<String, Object> results) {
    JsonMapper json = JsonMapper.builder().enable(SerializationFeature.INDENT_OUTPUT).build();
    try {
      Files.writeString(file, json.writeValueAsString(results) + "\n");
    } catch (IOException e) {
      throw new ReverieException(
          "bench: " + file + " cannot be written: " + e, "does its folder exist?", e);
    }
  }
}
