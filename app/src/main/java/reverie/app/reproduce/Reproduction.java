// SPDX-License-Identifier: Apache-2.0
package reverie.app.reproduce;

import java.io.IOException;
import java.math.BigDecimal;
import java.math.MathContext;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import reverie.app.config.ConfigurationException;
import reverie.app.files.AtomicFile;
import reverie.app.run.Interruption;
import reverie.tensor.ReverieException;

/**
 * Carries out the runs of claims in a folder, one after the other, and finds what is done already,
 * so that it can be stopped at any time and called again: {@code search/ARM-VALUE-seedN} on the
 * validation seeds first, then {@code runs/ARM-seedN}, a seed of all arms before the next seed.
 *
 * <p>Which value a search chooses: the one that is best by {@link Study#searchBy} on average over
 * the validation seeds among those that keep the icons recognised ({@link Study#searchFloor}), or,
 * if none does, the one that keeps most. While the best is the last of its values, more are tried
 * beyond it.
 */
public final class Reproduction {
  /** Where a run that failed says why. */
  static final String FAILURE = "failure.txt";

  private static final int SEARCH_SAMPLES = 64;

  private final Study study;
  private final List<String> claims;
  private final Path folder;
  private final List<String> overrides;
  private final Ledger ledger;

  /** Carries out one run. */
  @FunctionalInterface
  public interface Runner {
    /**
     * Begins a run or goes on with it.
     *
     * @throws Interruption.Stopped when asked to stop
     */
    void run(Job job);
  }

  /**
   * One run.
   *
   * @param name of its folder
   * @param path of its folder
   * @param settings all that differ from the defaults
   */
  public record Job(String name, Path path, List<String> settings) {
    /** Where it lies below the folder of all runs, whatever the system. */
    String place() {
      return path.getParent().getFileName() + "/" + name;
    }

    /** Why it failed, if it did. */
    public Optional<String> failure() {
      Path file = path.resolve(FAILURE);
      try {
        return Files.exists(file) ? Optional.of(Files.readString(file).strip()) : Optional.empty();
      } catch (IOException e) {
        throw AtomicFile.readFailure(file, e);
      }
    }

    /** The same as a command. */
    public String command() {
      StringBuilder command = new StringBuilder("./reverie finetune --out runs/").append(name);
      settings.forEach(setting -> command.append(" --set ").append(quoted(setting)));
      return command.toString();
    }

    private static String quoted(String text) {
      return text.matches("[A-Za-z0-9_./=,:@%+-]+") ? text : "'" + text + "'";
    }
  }

  /**
   * Prepares.
   *
   * @param study what there is
   * @param claims which of its claims
   * @param folder of everything
   * @param outcomes file of the outcomes of finished runs; those that stand there are not done
   *     again
   * @param overrides settings of all runs, on top of the study's
   * @throws ConfigurationException if a claim is not known
   */
  public Reproduction(
      Study study, Collection<String> claims, Path folder, Path outcomes, List<String> overrides) {
    for (String claim : claims) {
      if (!study.claims().containsKey(claim)) {
        throw new ConfigurationException(
            String.format(Locale.ROOT, "reproduce: there is no claim '%s'", claim),
            "one of " + String.join(", ", study.claims().keySet()));
      }
    }
    this.study = study;
    this.claims = List.copyOf(claims);
    this.folder = folder;
    this.overrides = List.copyOf(overrides);
    ledger = new Ledger(outcomes);
  }

  /** What is tried. */
  public Study study() {
    return study;
  }

  /** The claims, by name. */
  public List<String> claims() {
    return claims;
  }

  /** The folder of everything. */
  public Path folder() {
    return folder;
  }

  /** Settings of all runs that differ from the study's. */
  public List<String> overrides() {
    return overrides;
  }

  /** All arms of the claims, in order. */
  public List<String> arms() {
    Set<String> arms = new LinkedHashSet<>();
    claims.forEach(claim -> arms.addAll(study.claims().get(claim).arms()));
    return List.copyOf(arms);
  }

  /** The runs of the search, by the arm that searches. */
  public Map<String, List<Job>> searches() {
    Map<String, List<Job>> searches = new LinkedHashMap<>();
    for (String arm : arms()) {
      String searcher = study.searcher(arm);
      if (searcher != null) {
        searches.computeIfAbsent(searcher, this::searchJobs);
      }
    }
    return searches;
  }

  private List<Job> searchJobs(String arm) {
    return grid(arm).stream().flatMap(value -> searchJobs(arm, value).stream()).toList();
  }

  /** A run for each validation seed. */
  List<Job> searchJobs(String arm, String value) {
    List<Job> jobs = new ArrayList<>();
    for (long seed : study.validationSeeds()) {
      List<String> settings =
          settings(
              arm,
              List.of("epochs=" + study.searchEpochs(), "evaluation.samples=" + SEARCH_SAMPLES),
              seed);
      settings.add(study.arms().get(arm).search().key() + "=" + value);
      jobs.add(job("search", arm + "-" + value + "-seed" + seed, settings));
    }
    return jobs;
  }

  /**
   * The values of an arm's search, rising: those of the study and those that became necessary so
   * far.
   */
  List<String> grid(String arm) {
    Study.Search search = study.arms().get(arm).search();
    List<String> grid = new ArrayList<>(search.values());
    int below = 0;
    int above = 0;
    while (grid.size() > 1) {
      Optional<String> best = best(arm, grid);
      boolean low = best.filter(grid.getFirst()::equals).isPresent() && below < search.widen();
      boolean high = best.filter(grid.getLast()::equals).isPresent() && above < search.widen();
      if (low) {
        grid.addFirst(next(grid.get(1), grid.getFirst()));
        below++;
      } else if (high) {
        grid.addLast(next(grid.get(grid.size() - 2), grid.getLast()));
        above++;
      } else {
        break;
      }
    }
    return grid;
  }

  /** The value that follows two in a geometric sequence. */
  private static String next(String first, String second) {
    BigDecimal last = new BigDecimal(second);
    return last.multiply(last)
        .divide(new BigDecimal(first), new MathContext(3))
        .stripTrailingZeros()
        .toPlainString();
  }

  /** The best of some values; empty as long as runs of them are left. */
  private Optional<String> best(String arm, List<String> grid) {
    String best = null;
    double bestScore = Double.NEGATIVE_INFINITY;
    for (String value : grid) {
      List<Job> jobs = searchJobs(arm, value);
      if (jobs.stream().anyMatch(job -> !isOver(job))) {
        return Optional.empty();
      }
      double recognised = mean(jobs, Metric.RECOGNISED);
      // Those below the floor come after all others, in the order of what they keep.
      double score =
          recognised >= study.searchFloor() || Double.isNaN(recognised)
              ? mean(jobs, study.searchBy())
              : -1e12 * (1 - recognised);
      if (score > bestScore) {
        best = value;
        bestScore = score;
      }
    }
    return Optional.ofNullable(best);
  }

  /** Over the seeds whose run did not fail; the least that there is if one did. */
  private double mean(List<Job> jobs, Metric metric) {
    return jobs.stream()
        .mapToDouble(job -> outcome(job).map(o -> o.value(metric)).orElse(Double.NEGATIVE_INFINITY))
        .average()
        .orElseThrow();
  }

  /** The setting that the search chose for an arm, if it is over and one was chosen. */
  public Optional<String> chosen(String arm) {
    String searcher = study.searcher(arm);
    if (searcher == null) {
      return Optional.empty();
    }
    String key = study.arms().get(searcher).search().key();
    return best(searcher, grid(searcher)).map(value -> key + "=" + value);
  }

  /** The run of an arm with a seed, with what the search has chosen for it. */
  public Job job(String arm, long seed) {
    List<String> settings = settings(arm, List.of(), seed);
    chosen(arm).ifPresent(settings::add);
    return job("runs", arm + "-seed" + seed, settings);
  }

  private Job job(String kind, String name, List<String> settings) {
    return new Job(name, folder.resolve(kind).resolve(name), List.copyOf(settings));
  }

  private List<String> settings(String arm, List<String> more, long seed) {
    // The last value of a setting counts, and the others need not be told.
    Map<String, String> settings = new LinkedHashMap<>();
    Stream.of(
            study.common(),
            study.arms().get(arm).settings(),
            more,
            overrides,
            List.of("seed=" + seed))
        .flatMap(List::stream)
        .forEach(setting -> settings.put(setting.split("=", 2)[0], setting));
    return new ArrayList<>(settings.values());
  }

  /** All runs in the order in which they should be done. */
  public List<Job> all() {
    List<Job> all = new ArrayList<>();
    searches().values().forEach(all::addAll);
    for (long seed : study.seeds()) {
      arms().forEach(arm -> all.add(job(arm, seed)));
    }
    return all;
  }

  /** All runs that are not over. */
  public List<Job> left() {
    return all().stream().filter(job -> !isOver(job)).toList();
  }

  private boolean isOver(Job job) {
    return outcome(job).isPresent() || job.failure().isPresent();
  }

  /** The numbers of a run, from its folder or from the file of outcomes. */
  Optional<Outcome> outcome(Job job) {
    Optional<Outcome> known = ledger.of(job);
    if (known.isPresent()) {
      return known;
    }
    Optional<Outcome> finished = Outcome.read(job.path());
    finished.ifPresent(outcome -> ledger.add(job, outcome));
    return finished;
  }

  /**
   * Carries out what is left. A run that fails is noted in its folder and not tried again until the
   * note is removed.
   *
   * @param runner of each
   * @param stop asked before each
   * @throws Interruption.Stopped if asked to stop
   * @throws ConfigurationException if a run is configured wrongly
   */
  public void run(Runner runner, BooleanSupplier stop) {
    ledger.prepare();
    // Later runs need what the search has chosen, so that the list is made anew every time.
    for (List<Job> left = left(); !left.isEmpty(); left = left()) {
      if (stop.getAsBoolean()) {
        throw new Interruption.Stopped(left.size() + " runs are left");
      }
      Job next = left.getFirst();
      try {
        runner.run(next);
      } catch (ConfigurationException e) {
        throw e;
      } catch (ReverieException e) {
        try {
          Files.createDirectories(next.path());
        } catch (IOException io) {
          throw AtomicFile.failure(next.path(), io);
        }
        AtomicFile.writeText(next.path().resolve(FAILURE), e.getMessage() + "\n");
      }
    }
  }

  /** The finished run of an arm with a seed. */
  public Optional<Outcome> outcome(String arm, long seed) {
    return outcome(job(arm, seed));
  }

  /** The judgements of a claim's expectations, as far as runs are finished. */
  public List<Judgement> judge(String claim) {
    return study.claims().get(claim).expect().stream().map(this::judge).toList();
  }

  private Judgement judge(Study.Expectation expectation) {
    List<double[]> pairs = new ArrayList<>();
    for (long seed : study.seeds()) {
      Optional<Outcome> arm = outcome(expectation.arm(), seed);
      Optional<Outcome> other =
          expectation.than() == null ? arm : outcome(expectation.than(), seed);
      if (arm.isPresent() && other.isPresent()) {
        pairs.add(
            new double[] {
              arm.get().value(expectation.metric()),
              expectation.than() == null ? 0 : other.get().value(expectation.otherMetric())
            });
      }
    }
    return Judgement.of(
        expectation,
        pairs.stream().mapToDouble(pair -> pair[0]).toArray(),
        pairs.stream().mapToDouble(pair -> pair[1]).toArray());
  }
}
