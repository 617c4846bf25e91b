// SPDX-License-Identifier: Apache-2.0
package reverie.bench;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import reverie.app.command.Benchmarks;
import reverie.app.files.AtomicFile;
import reverie.app.run.Environment;
import reverie.bench.count.StepCount;
import reverie.bench.measure.Roofline;
import reverie.bench.peer.CudaBenchmark;
import reverie.bench.peer.PeerBenchmark;
import reverie.bench.report.Counted;
import reverie.bench.report.CudaRow;
import reverie.bench.report.JsonLines;
import reverie.bench.report.OperationRow;
import reverie.bench.report.PeerResults;
import reverie.bench.report.Profiled;
import reverie.bench.report.Report;
import reverie.bench.report.Results;
import reverie.bench.report.ScalingRow;
import reverie.bench.report.Tables;
import reverie.bench.step.Case;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.cuda.Cuda;
import tools.jackson.databind.SerializationFeature;
import tools.jackson.databind.json.JsonMapper;

/** The benchmarks behind {@code ./reverie bench}. */
public final class Bench implements Benchmarks {
  /** For the service loader. */
  public Bench() {}

  @Override
  public void run(Request request, PrintWriter out) {
    AtomicFile.prepare(request.json());
    if (request.cuda() != null) {
      if (request.cuda().count()) {
        count(request, out);
      } else {
        measureOnCuda(request, out);
      }
      return;
    }
    Environment machine = Environment.current();
    out.println(machine.cpu() + "; " + Device.cpu().backend().describe());
    // A report shows everything; else the comparison and the scaling are asked for on their own.
    boolean own = request.report() != null || !request.peers() && !request.scaling();
    Roofline roofline = own ? Roofline.measure(machine.threads()) : null;
    PeerResults peers =
        request.peers()
            ? new PeerBenchmark(
                    request.only(), request.rounds(), machine.threads(), machine.cpu(), out)
                .run()
            : null;
    if (peers != null && request.json() != null) {
      // What took the longest stays if a later part fails.
      write(
          request.json(),
          new Results(
              request.command(),
              machine.toMap(),
              Device.cpu().backend().describe(),
              roofline,
              peers,
              null,
              null,
              null));
    }
    List<Profiled> profiles = own ? profiles(request.only(), out) : null;
    List<OperationRow> operations = own ? operations(request.only(), roofline, out) : null;
    List<ScalingRow> scaling = request.scaling() ? scaling(out) : null;
    Results results =
        new Results(
            request.command(),
            machine.toMap(),
            Device.cpu().backend().describe(),
            roofline,
            peers,
            operations,
            profiles,
            scaling);
    if (request.json() != null) {
      write(request.json(), results);
    }
    if (request.report() != null) {
      Report.write(request.report(), results);
    }
    if (peers != null) {
      out.println();
      out.println(Tables.steps(peers.rows()));
      out.println(Tables.memory(peers.rows()));
      out.println(Tables.accuracy(peers.accuracy()));
    }
  }

  private static void count(Request request, PrintWriter out) {
    List<Counted> rows = new ArrayList<>();
    try (JsonLines json = JsonLines.to(request.json())) {
      for (Case c : Case.named(request.only())) {
        Counted row = StepCount.of(c);
        json.write(row);
        rows.add(row);
      }
    }
    out.println(Tables.counts(rows));
    for (Counted row : request.cuda().profile() ? rows : List.<Counted>of()) {
      out.println(row.name());
      out.println();
      out.println(Tables.kernels(row));
    }
  }

  private static void measureOnCuda(Request request, PrintWriter out) {
    OnCuda what = request.cuda();
    CudaBenchmark benchmark =
        new CudaBenchmark(Cuda::open, what.python(), "cuda", request.rounds());
    List<CudaRow> failed = new ArrayList<>();
    try (JsonLines json = JsonLines.to(request.json())) {
      benchmark.run(
          Case.named(request.only()),
          what.ways(),
          what.profile(),
          row -> {
            json.write(row);
            out.println(row.line());
            if (row.profile() != null) {
              out.println(Tables.operationsOfAStep(row.profile()));
            }
            out.flush();
            if (row.failure() != null) {
              failed.add(row);
            }
          });
    }
    if (!failed.isEmpty()) {
      throw new ReverieException(
          "bench: "
              + failed.size()
              + " rows could not be measured, the first for this reason: "
              + failed.getFirst().failure());
    }
  }

  private static List<Profiled> profiles(String only, PrintWriter out) {
    return Steps.profiles(
        only,
        Roofline.measure(1),
        p -> {
          out.println(String.format(Locale.ROOT, "%n%s: %.1f ms", p.name(), p.millis()));
          out.println(Tables.profile(p));
        });
  }

  private static List<OperationRow> operations(String only, Roofline roofline, PrintWriter out) {
    List<OperationRow> rows =
        Operation.measure(
            only,
            roofline,
            r -> out.println(String.format(Locale.ROOT, "%10.1f µs  %s", r.micros(), r.label())));
    if (!rows.isEmpty()) {
      out.println();
      out.println(Tables.operations(rows));
    }
    return rows;
  }

  private static List<ScalingRow> scaling(PrintWriter out) {
    List<ScalingRow> rows =
        Steps.scaling(r ->
            out.println(
                String.format(
                    Locale.ROOT,
                    "%-10s %-8s %-16s %8.1f ms",
                    r.what(),
                    r.value(),
                    r.step(),
                    r.millis())));
    out.println();
    out.println(Tables.scaling(rows));
    return rows;
  }

  private static void write(Path file, Object results) {
    JsonMapper json = JsonMapper.builder().enable(SerializationFeature.INDENT_OUTPUT).build();
    AtomicFile.writeText(file, json.writeValueAsString(results) + "\n");
  }
}
