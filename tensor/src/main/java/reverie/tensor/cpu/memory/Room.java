// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.memory;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Bytes that the system has for this process: those of the machine, or fewer where it runs in a
 * control group with a limit, as containers and jobs of clusters do.
 *
 * @param free what it can give before it has to end a process
 */
record Room(long free, long total) {
  private static final Room UNKNOWN = new Room(Long.MAX_VALUE, Long.MAX_VALUE);

  /** What Linux calls the files of a control group, in its two versions. */
  private enum Names {
    FIRST("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
    SECOND("memory.max", "memory.current", "");

    private final String limit;
    private final String used;
    private final String prefix;

    Names(String limit, String used, String prefix) {
      this.limit = limit;
      this.used = used;
      this.prefix = prefix;
    }
  }

  /** Without end where the system does not say. */
  static Room now() {
    return in(Path.of("/"));
  }

  /** What the files under a root say. */
  static Room in(Path root) {
    Map<String, Long> kibibytes = numbers(root.resolve("proc/meminfo"));
    if (!kibibytes.keySet().containsAll(List.of("MemAvailable", "MemTotal", "SwapFree"))) {
      return UNKNOWN;
    }
    long swap = kibibytes.get("SwapFree") << 10;
    Room room =
        new Room((kibibytes.get("MemAvailable") << 10) + swap, kibibytes.get("MemTotal") << 10);
    Path groups = root.resolve("sys/fs/cgroup");
    for (String line : lines(root.resolve("proc/self/cgroup"))) {
      String[] parts = line.split(":", 3);
      if (parts.length == 3 && parts[1].isEmpty()) {
        room = room.within(groups, parts[2], Names.SECOND, swap);
      } else if (parts.length == 3 && List.of(parts[1].split(",")).contains("memory")) {
        room = room.within(groups.resolve("memory"), parts[2], Names.FIRST, swap);
      }
    }
    return room;
  }

  /**
   * The least of this and of what the limits of a group and of those around it leave. Inside a
   * container the group's own path is often not there, and the top is the container's group.
   */
  private Room within(Path top, String path, Names names, long swap) {
    Room room = this;
    Path group = top.resolve("." + path).normalize();
    for (Path at = group.startsWith(top) ? group : top; at.startsWith(top); at = at.getParent()) {
      long limit = number(at.resolve(names.limit), Long.MAX_VALUE);
      if (limit < room.total) {
        Map<String, Long> bytes = numbers(at.resolve("memory.stat"));
        // Pages of files are given up when others are asked for.
        long files =
            bytes.getOrDefault(names.prefix + "inactive_file", 0L)
                + bytes.getOrDefault(names.prefix + "active_file", 0L);
        long left = Math.max(0, limit - number(at.resolve(names.used), 0) + files);
        room = new Room(Math.min(room.free, left + swap), limit);
      }
    }
    return room;
  }

  private static long number(Path file, long otherwise) {
    try {
      return Files.exists(file) ? Long.parseLong(Files.readString(file).strip()) : otherwise;
    } catch (IOException | NumberFormatException e) {
      // It may say "max".
      return otherwise;
    }
  }

  /** Of lines such as {@code MemTotal: 16 kB}. */
  private static Map<String, Long> numbers(Path file) {
    return lines(file).stream()
        .map(line -> line.split("[: ]+"))
        .filter(words -> words.length > 1 && words[1].matches("\\d{1,18}"))
        .collect(
            Collectors.toMap(words -> words[0], words -> Long.parseLong(words[1]), (a, _) -> a));
  }

  private static List<String> lines(Path file) {
    try (Stream<String> lines = Files.lines(file)) {
      return lines.toList();
    } catch (IOException | UncheckedIOException e) {
      return List.of();
    }
  }
}
