// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;

/**
 * What the artifact {@code reverie-cuda} brings: our kernels and shims, and JCuda's libraries. It
 * is found on the class path and, as another module's, on the module path: only a name that is no
 * package is looked for in all modules.
 */
final class Packed {
  /** What to do where it is missing. */
  static final String HINT =
      "in a checkout install CUDA's toolkit (nvcc), gcc and make, and build again; as a library add"
          + " io.github.reverie:reverie-cuda";

  /** Where ours lies. */
  private static final String OURS = "META-INF/reverie/cuda/";

  private Packed() {}

  /** The name of a resource of ours. */
  static String ours(String file) {
    return OURS + file;
  }

  static boolean has(String resource) {
    return Packed.class.getClassLoader().getResource(resource) != null;
  }

  /** Opens a resource, by its name from the root. */
  static InputStream open(String resource) throws IOException {
    InputStream in = Packed.class.getClassLoader().getResourceAsStream(resource);
    if (in == null) {
      throw new FileNotFoundException("resource " + resource + " is missing");
    }
    return in;
  }
}
