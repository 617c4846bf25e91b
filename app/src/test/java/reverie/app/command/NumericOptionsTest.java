// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import picocli.CommandLine;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/** Every option that is a number, of every command that there is. */
class NumericOptionsTest extends CommandTest {
  private static final Set<Class<?>> NUMBERS =
      Set.of(int.class, Integer.class, long.class, Long.class, double.class, Double.class);

  /** Where 0 has a meaning, and where every number has. */
  private static final Set<String> FROM_ZERO =
      Set.of("--eta", "--guidance", "--minutes", "--port", "--probes");

  private static final Set<String> ANY = Set.of("--seed", "--strength");

  static Stream<Arguments> options() {
    PrintWriter nowhere = new PrintWriter(PrintWriter.nullWriter());
    Session session = new Session(List.of(), Map.of(), nowhere, nowhere);
    return within(CommandLines.commandLine(session));
  }

  private static Stream<Arguments> within(CommandLine command) {
    return Stream.concat(
        command.getCommandSpec().options().stream()
            .filter(option -> NUMBERS.contains(option.type()))
            .map(option -> Arguments.of(line(command, option), option.longestName())),
        command.getSubcommands().values().stream().flatMap(NumericOptionsTest::within));
  }

  /** The command with all that it must be given besides. */
  private static List<String> line(CommandLine command, OptionSpec tested) {
    String[] names = command.getCommandSpec().qualifiedName().split(" ");
    List<String> line = new ArrayList<>(List.of(names).subList(1, names.length));
    for (PositionalParamSpec parameter : command.getCommandSpec().positionalParameters()) {
      if (parameter.arity().min() > 0) {
        line.add("absent");
      }
    }
    for (OptionSpec option : command.getCommandSpec().options()) {
      if (option.required() && option != tested) {
        line.addAll(List.of(option.longestName(), "absent"));
      }
    }
    return line;
  }

  @ParameterizedTest
  @MethodSource("options")
  void aNumberThatMakesNoSenseIsRefused(List<String> line, String option) {
    List<String> wrong = new ArrayList<>(List.of("NaN", "Infinity", "-Infinity", "1e400", "x"));
    if (!ANY.contains(option)) {
      wrong.add("-1");
      if (!FROM_ZERO.contains(option)) {
        wrong.add("0");
      }
    }
    for (String number : wrong) {
      List<String> all = new ArrayList<>(line);
      all.addAll(List.of(option, number));
      int code = run(all);
      assertEquals(ExitCode.USAGE, code, () -> all + ": " + err);
      String said = err.toString();
      assertTrue(said.contains(option) && said.contains("\nhint: "), () -> all + ": " + said);
    }
  }
}
