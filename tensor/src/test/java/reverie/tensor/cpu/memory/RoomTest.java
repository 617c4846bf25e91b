// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** With files as Linux has them. */
class RoomTest {
  private static final long MEBI = 1 << 20;

  @TempDir Path root;

  @BeforeEach
  void aMachine() throws IOException {
    write(
        "proc/meminfo",
        "MemTotal:       16384 kB\nMemFree:  100 kB\nMemAvailable:    8192 kB\nSwapFree: 1024 kB\n");
  }

  private void write(String file, String text) throws IOException {
    Path path = root.resolve(file);
    Files.createDirectories(path.getParent());
    Files.writeString(path, text);
  }

  @Test
  void withoutAGroupItIsThatOfTheMachine() throws IOException {
    assertEquals(new Room(9 * MEBI, 16 * MEBI), Room.in(root));
    write("proc/self/cgroup", "0::/user.slice\n");
    write("sys/fs/cgroup/user.slice/memory.max", "max\n");
    assertEquals(new Room(9 * MEBI, 16 * MEBI), Room.in(root));
  }

  @Test
  void aSystemThatDoesNotSayHasRoomWithoutEnd() throws IOException {
    write("proc/meminfo", "MemTotal: 16384 kB\n");
    assertEquals(new Room(Long.MAX_VALUE, Long.MAX_VALUE), Room.in(root));
  }

  /** The second version; files that are cached make room. */
  @Test
  void theLimitsOfAllGroupsAroundCount() throws IOException {
    write("proc/self/cgroup", "0::/jobs/mine\n");
    write("sys/fs/cgroup/jobs/mine/memory.max", "max\n");
    write("sys/fs/cgroup/jobs/memory.max", 6 * MEBI + "\n");
    write("sys/fs/cgroup/jobs/memory.current", 5 * MEBI + "\n");
    write("sys/fs/cgroup/jobs/memory.stat", "anon 7\ninactive_file 1048576\nactive_file 1048576\n");
    assertEquals(new Room((1 + 2 + 1) * MEBI, 6 * MEBI), Room.in(root));
  }

  /** The first version in a container, which does not see the path of its group. */
  @Test
  void theTopIsTheGroupOfAContainer() throws IOException {
    write("proc/self/cgroup", "5:cpu,cpuacct:/docker/1\n4:memory:/docker/1\n0::/\n");
    write("sys/fs/cgroup/memory/memory.limit_in_bytes", 4 * MEBI + "\n");
    write("sys/fs/cgroup/memory/memory.usage_in_bytes", 3 * MEBI + "\n");
    write("sys/fs/cgroup/memory/memory.stat", "inactive_file 9\ntotal_inactive_file 524288\n");
    assertEquals(new Room(5 * MEBI / 2, 4 * MEBI), Room.in(root));
    write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    assertEquals(new Room(9 * MEBI, 16 * MEBI), Room.in(root));
  }
}
