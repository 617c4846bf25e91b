// SPDX-License-Identifier: Apache-2.0
package reverie.app.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SilkIconsTest {
  private static final Set<String> BADGES =
      Set.of("add", "delete", "edit", "error", "go", "key", "link");
  private static final ImageSet ALL = SilkIcons.all();

  @Test
  void thereAreAThousandInAlphabeticalOrder() {
    List<String> names = ALL.items().stream().map(ImageSet.Item::name).toList();
    assertEquals(1000, names.size());
    assertEquals(names.stream().sorted().distinct().toList(), names);
    assertEquals("accept", names.getFirst());
    assertEquals("camera add", ALL.prompts().get(names.indexOf("camera_add")));
  }

  @Test
  void pixelsAreOverWhiteAndInRange() {
    for (ImageSet.Item icon : ALL.items()) {
      for (float value : icon.pixels()) {
        assertTrue(value >= -1 && value <= 1, icon.name());
      }
    }
    // The corner is transparent; the pixel at the bullet's edge is black with an alpha of 213.
    float[] bullet = icon("bullet_black").pixels();
    assertEquals(1, bullet[0]);
    assertEquals((255 - 213) / 127.5 - 1, bullet[(8 * 16 + 10) * 3], 1e-6);
  }

  @Test
  void greyIconsAreAsBrightAsTheyAreStored() {
    // One file is stored as grey with alpha, the other in colour; above the arrow they show the
    // same brick.
    int arrow = 7 * 16 * 3;
    assertArrayEquals(
        Arrays.copyOf(icon("brick_go").pixels(), arrow),
        Arrays.copyOf(icon("brick").pixels(), arrow));
  }

  @Test
  void trainingAndHeldOutPartTheIcons() {
    ImageSet training = SilkIcons.training();
    ImageSet heldOut = SilkIcons.heldOut();
    assertEquals(1000, training.size() + heldOut.size());
    assertEquals(64, heldOut.size());
    assertTrue(training.prompts().stream().noneMatch(heldOut.prompts()::contains));
  }

  @Test
  void heldOutListFollowsItsRule() {
    Set<String> names = ALL.items().stream().map(ImageSet.Item::name).collect(Collectors.toSet());
    Map<String, List<String>> pairs = new TreeMap<>();
    for (ImageSet.Item icon : ALL.items()) {
      if (names.contains(object(icon.name()))
          && BADGES.contains(badge(icon.name()))
          && isUnique(icon)) {
        pairs.computeIfAbsent(object(icon.name()), o -> new ArrayList<>()).add(icon.name());
      }
    }
    List<String> candidates =
        pairs.values().stream()
            .filter(list -> list.size() >= 4)
            .flatMap(list -> list.stream().sorted())
            .toList();
    List<String> expected = new ArrayList<>();
    for (int i = 1; i < candidates.size(); i += 5) {
      expected.add(candidates.get(i));
    }
    assertEquals(expected, List.copyOf(SilkIcons.heldOutNames()));
  }

  @Test
  void everyHeldOutObjectAndBadgeIsTrainedInOtherPairs() {
    Set<String> training =
        SilkIcons.training().items().stream().map(ImageSet.Item::name).collect(Collectors.toSet());
    for (String name : SilkIcons.heldOutNames()) {
      assertFalse(training.contains(name));
      assertTrue(training.contains(object(name)), name);
      long badges =
          BADGES.stream().filter(badge -> training.contains(object(name) + "_" + badge)).count();
      assertTrue(badges >= 3, name + " has only " + badges);
      long objects = training.stream().filter(other -> badge(other).equals(badge(name))).count();
      assertTrue(objects >= 20, name + " has only " + objects);
    }
  }

  private static ImageSet.Item icon(String name) {
    return ALL.items().stream().filter(icon -> icon.name().equals(name)).findFirst().orElseThrow();
  }

  private static boolean isUnique(ImageSet.Item icon) {
    return ALL.items().stream()
            .filter(other -> Arrays.equals(other.pixels(), icon.pixels()))
            .count()
        == 1;
  }

  private static String object(String name) {
    return name.substring(0, Math.max(0, name.lastIndexOf('_')));
  }

  private static String badge(String name) {
    return name.substring(name.lastIndexOf('_') + 1);
  }

  /** A folder of programs on Windows, for one, has a space in its name. */
  @Test
  void thePackageMayLieInAFolderWithASpace(@TempDir Path folder) throws Exception {
    Path odd = Files.createDirectory(folder.resolve("a b%20c"));
    List<URL> classPath = new ArrayList<>();
    for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
      Path path = Path.of(entry);
      boolean icons = path.getFileName().toString().startsWith("famfamfam-silk");
      classPath.add((icons ? Files.copy(path, odd.resolve("silk.jar")) : path).toUri().toURL());
    }
    assertTrue(Files.exists(odd.resolve("silk.jar")));
    ClassLoader nothing = ClassLoader.getPlatformClassLoader();
    try (var loader = new URLClassLoader(classPath.toArray(URL[]::new), nothing)) {
      Class<?> icons = loader.loadClass(SilkIcons.class.getName());
      Object all = icons.getMethod("all").invoke(null);
      assertEquals(1000, all.getClass().getMethod("size").invoke(all));
    }
  }
}
