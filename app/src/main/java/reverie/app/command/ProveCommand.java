// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import java.io.PrintWriter;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Supplier;
import picocli.CommandLine.Command;
import reverie.rl.prove.Proof;
import reverie.rl.prove.Proofs;

/** Carries out every proof: closed forms and identities. */
@Command(
    name = "prove",
    description = "Train every objective on problems that can be solved on paper, and compare.",
    footer = {
      "",
      "Everything is computed in float64. The exit code is 1 if a proof does not hold.",
      "",
      "Example:",
      "  ./reverie prove"
    })
final class ProveCommand implements Callable<Integer> {
  private static final String ROW = "%-16s %-64s %12.8f %12.8f %9.1e %9.1e  %s%n";
  private static final String HEAD = "%-16s %-64s %12s %12s %9s %9s  %s%n";

  private final Session session;
  private final Supplier<List<Proof>> proofs;

  ProveCommand(Session session) {
    this(session, Proofs::all);
  }

  ProveCommand(Session session, Supplier<List<Proof>> proofs) {
    this.session = session;
    this.proofs = proofs;
  }

  @Override
  public Integer call() {
    long started = System.nanoTime();
    PrintWriter out = session.out();
    out.printf(Locale.ROOT, HEAD, "objective", "claim", "reached", "exact", "error", "allowed", "");
    List<Proof> all = proofs.get();
    int failed = 0;
    try (ExecutorService threads =
        Executors.newFixedThreadPool(Runtime.getRuntime().availableProcessors())) {
      List<Future<Proof.Result>> results =
          all.stream().map(proof -> threads.submit(proof::run)).toList();
      for (int i = 0; i < all.size(); i++) {
        Proof.Result result = result(results.get(i));
        failed += result.holds() ? 0 : 1;
        out.printf(
            Locale.ROOT,
            ROW,
            result.objective(),
            all.get(i).name(),
            result.reached(),
            result.exact(),
            result.error(),
            result.tolerance(),
            result.holds() ? "ok" : "FAILED");
        out.flush();
      }
    }
    double seconds = (System.nanoTime() - started) * 1e-9;
    out.printf(Locale.ROOT, "%d proofs, %d failed, %.1f s%n", all.size(), failed, seconds);
    return failed == 0 ? ExitCode.OK : ExitCode.FAILED_CHECK;
  }

  private static Proof.Result result(Future<Proof.Result> proof) {
    try {
      return proof.get();
    } catch (ExecutionException e) {
      throw e.getCause() instanceof RuntimeException known ? known : new IllegalStateException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new CancellationException("prove was interrupted");
    }
  }
}
