// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import java.io.PrintWriter;
import java.util.List;
import java.util.Map;
import picocli.AutoComplete;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;
import picocli.CommandLine.UnmatchedArgumentException;
import reverie.app.run.Environment;
import reverie.app.run.PlainText;
import reverie.tensor.ReverieException;

/** The command {@code reverie} with all its subcommands. */
@Command(
    name = "reverie",
    mixinStandardHelpOptions = true,
    versionProvider = CommandLines.Version.class,
    description = "Fine-tunes diffusion models by reward.",
    synopsisSubcommandLabel = "COMMAND",
    footer = {
      "",
      "Begin with:",
      "  ./reverie quickstart",
      "Every command explains itself:",
      "  ./reverie finetune --help",
      "Completion for bash and zsh:",
      "  source <(./reverie generate-completion)"
    })
public final class CommandLines implements Runnable {
  @Spec CommandSpec spec;

  @Option(
      names = "--debug",
      scope = ScopeType.INHERIT,
      description = "Show the stack of an error; so does the environment variable REVERIE_DEBUG.")
  boolean debug;

  private CommandLines() {}

  /**
   * Runs a command line. Never throws: errors become messages and exit codes.
   *
   * @param arguments the command and its options
   * @param environment the environment variables
   * @param out for results
   * @param err for errors
   * @return the exit code
   */
  public static int run(
      List<String> arguments, Map<String, String> environment, PrintWriter out, PrintWriter err) {
    Session session = new Session(arguments, environment, out, err);
    Warnings.show(session);
    try {
      return commandLine(session).execute(arguments.toArray(String[]::new));
    } catch (Error e) {
      // Out of memory and the like, which picocli lets pass.
      return Failures.report(session, e);
    }
  }

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "a command is missing");
  }

  static CommandLine commandLine(Session session) {
    CommandLine line = new CommandLine(new CommandLines());
    for (Object command :
        List.of(
            new QuickstartCommand(session),
            new PretrainCommand(session),
            new FinetuneCommand(session),
            new SampleCommand(session),
            new EvaluateCommand(session),
            new LikelihoodCommand(session),
            new PreferencesCommand(session),
            new ReproduceCommand(session),
            new ConvertCommand(session),
            new CheckCommand(session),
            new GradcheckCommand(session),
            new ProveCommand(session),
            new QuestionsCommand(session),
            new DoctorCommand(session),
            new BenchCommand(session))) {
      line.addSubcommand(command);
    }
    CommandLine serve = new CommandLine(new ServeCommand(session));
    serve.getCommandSpec().mixinStandardHelpOptions(true);
    line.getSubcommands().get("preferences").addSubcommand(serve);
    line.addSubcommand(new AutoComplete.GenerateCompletion());
    line.getSubcommands()
        .values()
        .forEach(sub -> sub.getCommandSpec().mixinStandardHelpOptions(true));
    line.setOut(session.console());
    line.setErr(session.err());
    line.setUsageHelpWidth(100);
    line.setCaseInsensitiveEnumValuesAllowed(true);
    // A prompt may begin with @.
    line.setExpandAtFiles(false);
    line.setExecutionExceptionHandler((error, _, _) -> Failures.report(session, error));
    line.setParameterExceptionHandler((error, _) -> usage(session, error));
    return line;
  }

  private static int usage(Session session, ParameterException error) {
    CommandLine command = error.getCommandLine();
    String message =
        error.getCause() instanceof ReverieException known
            ? known.getMessage()
            : error.getMessage();
    PrintWriter err = session.err();
    err.println(PlainText.of("reverie: " + message));
    if (!message.contains("\nhint: ")) {
      List<String> suggestions =
          error instanceof UnmatchedArgumentException unmatched
              ? unmatched.getSuggestions()
              : List.of();
      String name = command.getCommandSpec().qualifiedName();
      err.println(
          "hint: "
              + (suggestions.isEmpty()
                  ? "./" + name + " --help shows what there is"
                  : "did you mean " + suggestions.getFirst() + "?"));
    }
    if (session.debug()) {
      error.printStackTrace(err);
    }
    err.flush();
    return ExitCode.USAGE;
  }

  /** The answer to {@code --version}. */
  static final class Version implements IVersionProvider {
    @Override
    public String[] getVersion() {
      Environment environment = Environment.current();
      return new String[] {
        "reverie " + environment.reverie() + " (" + environment.revision() + ")",
        "Java " + environment.java()
      };
    }
  }
}
