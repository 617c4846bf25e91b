// SPDX-License-Identifier: Apache-2.0
package reverie.app.data;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import javax.imageio.stream.MemoryCacheImageInputStream;
import reverie.tensor.ReverieException;

/**
 * The 1,000 Silk icons of Mark James (CC BY 2.5), 16×16, read from their package on the class path.
 * A name such as {@code camera_add} becomes the prompt "camera add": an object and, mostly, a badge
 * in its corner.
 *
 * <p>64 pairs of object and badge are held out: no training may see them, neither their images nor
 * their prompts, so that they tell whether a model composes or remembers. Each held-out object is
 * trained with other badges and each badge with other objects. The list is the resource {@code
 * held-out.txt}, whose head says how it was chosen.
 */
public final class SilkIcons {
  private static final String FOLDER = "META-INF/resources/webjars/famfamfam-silk/1.3/icons";
  private static final String HELD_OUT = "held-out.txt";

  private static ImageSet icons;

  private SilkIcons() {}

  /**
   * All icons, in the order of their names; read once in a process.
   *
   * @return 1,000 images
   * @throws ReverieException if their package is not on the class path
   */
  public static synchronized ImageSet all() {
    if (icons == null) {
      icons = read();
    }
    return icons;
  }

  private static ImageSet read() {
    URL folder = SilkIcons.class.getClassLoader().getResource(FOLDER);
    if (folder == null) {
      throw new ReverieException(
          String.format(
              Locale.ROOT, "Silk icons: the folder '%s' is not on the class path", FOLDER),
          "the Maven package org.webjars:famfamfam-silk:1.3-1 holds it; start Reverie with ./reverie");
    }
    try {
      URI uri = folder.toURI();
      if (!"jar".equals(uri.getScheme())) {
        return read(Path.of(uri));
      }
      Path jar = Path.of(URI.create(uri.getRawSchemeSpecificPart().split("!", 2)[0]));
      try (FileSystem files = FileSystems.newFileSystem(jar, Map.of())) {
        return read(files.getPath(FOLDER));
      }
    } catch (IOException | URISyntaxException e) {
      throw new ReverieException(
          String.format(Locale.ROOT, "Silk icons: cannot read '%s': %s", folder, e.getMessage()),
          "delete the famfamfam-silk package from the local Maven repository to have it fetched again");
    }
  }

  /**
   * The icons that may be trained on.
   *
   * @return all but {@link #heldOut}
   */
  public static ImageSet training() {
    Set<String> heldOut = heldOutNames();
    return all().where(icon -> !heldOut.contains(icon.name()));
  }

  /**
   * The icons that no training sees.
   *
   * @return 64 images
   */
  public static ImageSet heldOut() {
    Set<String> heldOut = heldOutNames();
    return all().where(icon -> heldOut.contains(icon.name()));
  }

  /**
   * Returns the names of the held-out icons, such as {@code camera_add}.
   *
   * @return 64 names in alphabetical order
   */
  public static Set<String> heldOutNames() {
    try (InputStream in = SilkIcons.class.getResourceAsStream(HELD_OUT);
        BufferedReader reader =
            new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8))) {
      Set<String> names = new LinkedHashSet<>();
      reader.lines().filter(line -> !line.isBlank() && !line.startsWith("#")).forEach(names::add);
      return names;
    } catch (IOException e) {
      throw new ReverieException(
          "Silk icons: cannot read the list of held-out names: " + e.getMessage(),
          "build Reverie again");
    }
  }

  private static ImageSet read(Path folder) throws IOException {
    List<Path> files;
    try (Stream<Path> entries = Files.list(folder)) {
      files = entries.sorted(Comparator.comparing(SilkIcons::name)).toList();
    }
    List<ImageSet.Item> items = new ArrayList<>();
    for (Path file : files) {
      try (InputStream in = Files.newInputStream(file)) {
        String name = name(file);
        float[] pixels = PngPixels.overWhite(ImageIO.read(new MemoryCacheImageInputStream(in)));
        items.add(new ImageSet.Item(name, name.replace('_', ' '), pixels));
      }
    }
    return ImageSet.of(16, 16, items);
  }

  private static String name(Path file) {
    return file.getFileName().toString().replaceFirst("\\.png$", "");
  }
}
