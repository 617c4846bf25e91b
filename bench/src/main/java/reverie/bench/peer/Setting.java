// SPDX-License-Identifier: Apache-2.0
package reverie.bench.peer;

import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * The environments in which a build is tried, since none is the fastest everywhere. What idle
 * threads do matters most: OpenBLAS has threads of its own beside those of OpenMP, and where one
 * kind waits busily the other waits for a processor.
 */
enum Setting {
  /** As the library comes. */
  PLAIN("as it comes", Map.of(), LibTorch.Build.OFFICIAL),
  /** Idle threads sleep. */
  PASSIVE("idle threads sleep", Map.of("OMP_WAIT_POLICY", "PASSIVE"), LibTorch.Build.values()),
  /** OpenBLAS in the calling thread only. */
  ONE_BLAS("one BLAS thread", Map.of("OPENBLAS_NUM_THREADS", "1"), LibTorch.Build.BYTEDECO);

  private final String title;
  private final Map<String, String> environment;
  private final List<LibTorch.Build> builds;

  Setting(String title, Map<String, String> environment, LibTorch.Build... builds) {
    this.title = title;
    this.environment = environment;
    this.builds = List.of(builds);
  }

  /** Those that make sense for a build. */
  static List<Setting> of(LibTorch.Build build) {
    return Arrays.stream(values()).filter(s -> s.builds.contains(build)).toList();
  }

  String title() {
    return title;
  }

  Map<String, String> environment() {
    return environment;
  }
}
