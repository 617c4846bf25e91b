// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.util.List;
import jcuda.JCudaVersion;
import jcuda.LibUtils;
import reverie.tensor.ReverieException;

/**
 * JCuda's own native libraries. Its loader takes a file in the temporary folder if one of the
 * library's name is there, whoever made it; so it gets a folder of its own while it works, with the
 * libraries in it: on the module path it does not find them. JCudnn has had no version since
 * 11.7.0, but is asked for by JCuda's.
 */
final class JcudaNatives {
  private static final String TEMPORARY = "java.io.tmpdir";

  /** The resource in the jar of JCudnn. */
  static final String JCUDNN = "lib/libJCudnn-11.7.0-linux-x86_64.so";

  private JcudaNatives() {}

  /**
   * Loads them, after NVIDIA's.
   *
   * @throws ReverieException with the linker's words if one does not load
   */
  static synchronized void load() {
    String temporary = System.getProperty(TEMPORARY);
    try (PrivateFolder folder = new PrivateFolder()) {
      folder.extract(JCUDNN, file("JCudnn"));
      folder.extract("lib/" + file("JCudaDriver"));
      folder.extract("lib/" + file("JCublas2"));
      System.setProperty(TEMPORARY, folder.path().toString());
      for (String name :
          List.of("jcuda.driver.JCudaDriver", "jcuda.jcublas.JCublas2", "jcuda.jcudnn.JCudnn")) {
        Class.forName(name);
      }
    } catch (LinkageError e) {
      throw new ReverieException(
          "cuda device: JCuda's libraries do not load: " + reason(e),
          "./reverie doctor shows the libraries that were found; the temporary folder must be"
              + " executable (-Djava.io.tmpdir=…)",
          e);
    } catch (FileNotFoundException e) {
      throw new ReverieException(
          "cuda device: JCuda's libraries are missing: " + e.getMessage(), Packed.HINT, e);
    } catch (IOException | ClassNotFoundException e) {
      throw new ReverieException(
          "cuda device: JCuda's libraries cannot be unpacked: " + e.getMessage(),
          "make the temporary folder writable: -Djava.io.tmpdir=…",
          e);
    } finally {
      System.setProperty(TEMPORARY, temporary);
    }
  }

  /** The name that JCuda has for the file of one of its libraries. */
  private static String file(String library) {
    return LibUtils.createLibraryFileName(
        LibUtils.createPlatformLibraryName(library + "-" + JCudaVersion.get()));
  }

  /** JCuda's message is pages of stacks; the last error in it is the linker's. */
  private static String reason(LinkageError error) {
    String mark = UnsatisfiedLinkError.class.getName() + ": ";
    String message = String.valueOf(error.getMessage());
    int at = message.lastIndexOf(mark);
    return message.substring(at < 0 ? 0 : at + mark.length()).lines().findFirst().orElse("");
  }
}
