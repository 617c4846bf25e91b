// SPDX-License-Identifier: Apache-2.0
package reverie.bench.peer;

import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;
import reverie.bench.measure.Rounds;
import reverie.tensor.ReverieException;

/**
 * One build of LibTorch with one module loaded. Methods take and give lists of float32 tensors. A
 * process can hold only one of the builds.
 */
interface LibTorch extends AutoCloseable {
  /** The builds, and what each is called. */
  enum Build {
    /** LibTorch 2.10 with OpenBLAS and oneDNN, from bytedeco. */
    BYTEDECO("LibTorch 2.10 (bytedeco, OpenBLAS)"),
    /** The official 2.7.1 with MKL and oneDNN, as DJL packages it. */
    OFFICIAL("LibTorch 2.7.1 (official, MKL)");

    private final String title;

    Build(String title) {
      this.title = title;
    }

    String title() {
      return title;
    }

    /** Loads a module with this build. */
    LibTorch open(Path archive, int threads) {
      try {
        return switch (this) {
          case BYTEDECO -> new BytedecoTorch(archive, threads);
          case OFFICIAL -> new DjlTorch(archive, threads);
        };
      } catch (LinkageError e) {
        throw new ReverieException(
            "bench: " + title + " cannot be loaded: " + e,
            "its native libraries are for Linux on x86-64; ./reverie bench --peers fetches them",
            e);
      }
    }
  }

  /** A list of tensors in the library's memory. */
  interface Values extends AutoCloseable {
    @Override
    void close();
  }

  /** Copies tensors into the library's memory. */
  Values values(List<HostTensor> tensors);

  /** Calls a method of the module. */
  Values run(String method, Values... lists);

  /** Milliseconds that so many calls take in a row, until all their work is done. */
  default double millis(int repeats, String method, Values... lists) {
    return Rounds.time(() -> {
      for (int i = 0; i < repeats; i++) {
        run(method, lists).close();
      }
    });
  }

  /** Copies tensors out one by one, in the order of their axes whatever their memory. */
  void read(Values values, Consumer<float[]> each);

  @Override
  void close();
}
