// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.tensor.ReverieException;

/** Where NVIDIA's libraries are looked for, which is taken, and what is said if there is none. */
class CudaLibrariesTest {
  @TempDir Path root;

  private Path file(String name) throws IOException {
    Path file = root.resolve(name);
    Files.createDirectories(file.getParent());
    return Files.writeString(file, "no library");
  }

  private List<Path> folders(String... environment) {
    Map<String, String> variables =
        environment.length == 0 ? Map.of() : Map.of(environment[0], environment[1]);
    return CudaLibraries.folders(variables, root, root.resolve("home/me"));
  }

  private Optional<Path> find(CudaLibrary library, String... environment) {
    return library.find(folders(environment));
  }

  @Test
  void nothingIsFoundOnAnEmptyMachine() {
    assertEquals(List.of(), folders());
    assertEquals(Optional.empty(), find(CudaLibrary.DRIVER));
  }

  @Test
  void theUsualFoldersAreSearched() throws IOException {
    for (String folder :
        List.of(
            "usr/local/cuda/lib64",
            "usr/local/cuda-12.8/targets/x86_64-linux/lib",
            "usr/lib/x86_64-linux-gnu",
            "usr/local/nvidia/lib64",
            "usr/local/lib/python3.12/dist-packages/nvidia/cublas/lib",
            "usr/lib/python3/dist-packages/nvidia/cu13/lib",
            "home/me/.local/lib/python3.11/site-packages/nvidia/cu13/lib")) {
      Path library = file(folder + "/libcublas.so.13");
      assertEquals(Optional.of(library), find(CudaLibrary.CUBLAS));
      Files.delete(library);
    }
  }

  @Test
  void theEnvironmentComesFirst() throws IOException {
    file("usr/lib/x86_64-linux-gnu/libcudnn.so.9");
    Path named = file("opt/mine/libcudnn.so.9");
    Path packaged = file("venv/lib/python3.13/site-packages/nvidia/cudnn/lib/libcudnn.so.8");
    assertEquals(
        Optional.of(named),
        find(CudaLibrary.CUDNN, "LD_LIBRARY_PATH", "/nowhere::" + named.getParent()));
    // The version that JCuda was made for comes before the order of the folders.
    assertEquals(
        Optional.of(packaged),
        find(CudaLibrary.CUDNN, "VIRTUAL_ENV", root.resolve("venv").toString()));
  }

  /** The packages of the Python that runs, whatever links lead to it, and of no other. */
  @Test
  void thePythonOfThePathIsSearchedInItsVirtualEnvironment() throws IOException {
    file("opt/system/bin/python3.12").toFile().setExecutable(true);
    file("venv/pyvenv.cfg");
    Path venv = Files.createDirectories(root.resolve("venv/bin")).resolve("python3");
    Files.createSymbolicLink(venv, root.resolve("opt/system/bin/python3.12"));
    Path linked = Files.createDirectories(root.resolve("tools")).resolve("python3");
    Files.createSymbolicLink(linked, Path.of("../venv/bin/python3"));
    file("opt/system/lib/python3.12/site-packages/nvidia/cudnn/lib/libcudnn.so.9");
    Path cudnn = file("venv/lib/python3.12/site-packages/nvidia/cudnn/lib/libcudnn.so.9");
    Path cublas = file("venv/lib/python3.12/site-packages/nvidia/cu13/lib/libcublas.so.13");
    for (Path python : List.of(venv, linked)) {
      String path = root.resolve("empty") + ":" + python.getParent() + ":/nowhere";
      assertEquals(Optional.of(cudnn), find(CudaLibrary.CUDNN, "PATH", path));
      assertEquals(Optional.of(cublas), find(CudaLibrary.CUBLAS, "PATH", path));
    }
    // Without a virtual environment it is where the links end.
    Files.delete(root.resolve("venv/pyvenv.cfg"));
    assertEquals(
        List.of(root.resolve("opt/system/lib/python3.12/site-packages/nvidia/cudnn/lib")),
        folders("PATH", venv.getParent().toString()));
  }

  @Test
  void theFoldersOfTheLinkerAreSearched() throws IOException {
    Path library = file("opt/far/away/libcuda.so.1");
    Files.writeString(file("etc/ld.so.conf.d/far.conf"), "# a comment\n/opt/far/away\n");
    assertEquals(Optional.of(library), find(CudaLibrary.DRIVER));
  }

  @Test
  void whatIsMissingIsSaidWithARemedy() throws IOException {
    Files.createDirectories(root.resolve("usr/lib64"));
    for (CudaLibrary library : CudaLibrary.values()) {
      ReverieException e = assertThrows(ReverieException.class, () -> library.load(folders()));
      assertTrue(e.getMessage().contains("was found in none of 1 folders"), e.getMessage());
      assertTrue(e.getMessage().contains("\nhint: install"), e.getMessage());
    }
  }

  @Test
  void aDamagedLibraryIsSaidWithTheLinkersWords() throws IOException {
    // A program, which cannot be loaded; any other file makes the JVM warn of its stack.
    Path program = Path.of(System.getProperty("java.home"), "bin", "java");
    Files.copy(program, Files.createDirectories(root.resolve("usr/lib64")).resolve("libcuda.so.1"));
    ReverieException e =
        assertThrows(ReverieException.class, () -> CudaLibrary.DRIVER.load(folders()));
    assertTrue(e.getMessage().startsWith("cuda device: NVIDIA driver does not load: "));
    assertTrue(e.getMessage().contains("libcuda.so.1: "), e.getMessage());
  }

  @Test
  void versionsReadAsPeopleWriteThem() {
    assertEquals("13.0", CudaLibrary.driverVersion(13000));
    assertEquals("12.8", CudaLibrary.driverVersion(12080));
    assertEquals("8.9.2", CudaLibrary.cudnnVersion(8902));
    assertEquals("9.24.0", CudaLibrary.cudnnVersion(92400));
  }

  @Test
  void jcudnnIsPackedUnderTheNameThatIsCopied() {
    assertTrue(Packed.has(JcudaNatives.JCUDNN));
  }
}
