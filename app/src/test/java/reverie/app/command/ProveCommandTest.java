// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import reverie.rl.prove.Proof;

class ProveCommandTest {
  private final StringWriter out = new StringWriter();

  private record Claim(double reached) implements Proof {
    @Override
    public String name() {
      return "is one half";
    }

    @Override
    public Result run() {
      return Result.of("ddpo_sf", reached, 0.5, 1e-3);
    }
  }

  private int prove(Proof... proofs) {
    PrintWriter writer = new PrintWriter(out, true);
    Session session = new Session(List.of("prove"), Map.of(), writer, writer);
    return new ProveCommand(session, () -> List.of(proofs)).call();
  }

  @Test
  void whatHoldsIsOk() {
    assertEquals(ExitCode.OK, prove(new Claim(0.5001), new Claim(0.5)));
    List<String> lines = out.toString().lines().toList();
    assertTrue(
        lines.get(1).matches("ddpo_sf +is one half +0\\.50010000 +0\\.50000000 +1\\.0e-04.* ok"),
        out::toString);
    assertTrue(lines.getLast().startsWith("2 proofs, 0 failed, "), out::toString);
  }

  @Test
  void oneThatFailsIsEnough() {
    assertEquals(ExitCode.FAILED_CHECK, prove(new Claim(0.5), new Claim(Double.NaN)));
    assertTrue(out.toString().contains("FAILED"), out::toString);
    assertTrue(out.toString().contains("2 proofs, 1 failed"), out::toString);
  }
}
