// SPDX-License-Identifier: Apache-2.0
package reverie.architecture;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.parsers.ParserConfigurationException;
import org.junit.jupiter.api.Test;
import org.w3c.dom.Element;
import org.w3c.dom.Node;
import org.xml.sax.SAXException;

/**
 * The poms say what Maven Central asks for, and the BOM and the documents name what is published.
 */
class PublishedTest {
  private static final Pattern COORDINATES = Pattern.compile("reverie-(bom|\\w+):(\\d[\\w.-]*)");
  private static final Pattern ARCHIVE = Pattern.compile("reverie-(\\d+\\.\\d+\\.\\d+[^-./ ]*)");

  private final Element root = pom(Project.ROOT.resolve("pom.xml"));
  private final Map<String, Element> modules = modules();

  private static Element pom(Path file) {
    try {
      return DocumentBuilderFactory.newInstance()
          .newDocumentBuilder()
          .parse(file.toFile())
          .getDocumentElement();
    } catch (ParserConfigurationException | SAXException | IOException e) {
      throw new AssertionError(file + ": " + e.getMessage(), e);
    }
  }

  private Map<String, Element> modules() {
    Map<String, Element> modules = new TreeMap<>();
    for (Element module : children(child(root, "modules"))) {
      modules.put(
          module.getTextContent(),
          pom(Project.ROOT.resolve(module.getTextContent()).resolve("pom.xml")));
    }
    return modules;
  }

  private static List<Element> children(Node parent) {
    List<Element> children = new ArrayList<>();
    for (Node at = parent == null ? null : parent.getFirstChild();
        at != null;
        at = at.getNextSibling()) {
      if (at instanceof Element element) {
        children.add(element);
      }
    }
    return children;
  }

  private static Element child(Node parent, String... path) {
    Node at = parent;
    for (String name : path) {
      at =
          children(at).stream()
              .filter(element -> element.getTagName().equals(name))
              .findFirst()
              .orElse(null);
    }
    return (Element) at;
  }

  private static String text(Node parent, String... path) {
    Element found = child(parent, path);
    return found == null ? "" : found.getTextContent().strip();
  }

  private static String artifact(Element pom) {
    return text(pom, "artifactId");
  }

  private static boolean isPublished(Element pom) {
    return !text(pom, "properties", "maven.deploy.skip").equals("true");
  }

  private static Element release(Element pom) {
    return children(child(pom, "profiles")).stream()
        .filter(profile -> text(profile, "id").equals("release"))
        .findFirst()
        .orElseThrow();
  }

  @Test
  void everyModuleHasOneVersionANameAndADescription() {
    String version = text(root, "version");
    modules.forEach((folder, pom) -> {
      boolean bom = folder.equals("bom");
      assertEquals(version, bom ? text(pom, "version") : text(pom, "parent", "version"), folder);
      assertEquals("reverie-" + folder, artifact(pom));
      assertTrue(text(pom, "name").startsWith("Reverie "), folder);
      assertTrue(text(pom, "description").endsWith("."), folder);
    });
  }

  /** Inherited by all; the BOM has no parent, lest it brought the versions of other libraries. */
  @Test
  void theProjectIsDescribed() {
    for (Element pom : List.of(root, modules.get("bom"))) {
      assertTrue(text(pom, "url").startsWith("https://"), artifact(pom));
      assertEquals("Apache-2.0", text(pom, "licenses", "license", "name"));
      assertEquals(
          "https://www.apache.org/licenses/LICENSE-2.0.txt",
          text(pom, "licenses", "license", "url"));
      assertTrue(!text(pom, "developers", "developer", "name").isEmpty(), artifact(pom));
      for (String part : List.of("connection", "developerConnection", "url")) {
        assertTrue(text(pom, "scm", part).contains(text(pom, "url").substring(8)), part);
      }
      assertEquals("true", text(pom, "properties", "gpg.skip"), "signing waits for a key");
    }
    assertTrue(!text(root, "properties", "project.build.outputTimestamp").isEmpty());
    assertEquals("false", root.getAttribute("child.project.url.inherit.append.path"));
    for (String part : List.of("connection", "developerConnection", "url")) {
      String inherited = "child.scm." + part + ".inherit.append.path";
      assertEquals("false", child(root, "scm").getAttribute(inherited), inherited);
    }
  }

  @Test
  void theBomNamesWhatIsPublished() {
    Set<String> published =
        modules.values().stream()
            .filter(PublishedTest::isPublished)
            .map(PublishedTest::artifact)
            .filter(artifact -> !artifact.equals("reverie-bom"))
            .collect(Collectors.toSet());
    Element managed = child(modules.get("bom"), "dependencyManagement", "dependencies");
    Set<String> named =
        children(managed).stream().map(PublishedTest::artifact).collect(Collectors.toSet());
    assertEquals(published, named);
    children(managed).forEach(it -> assertEquals("${project.version}", text(it, "version")));
  }

  @Test
  void theRestIsKeptFromMavenCentral() {
    Element publishing =
        children(child(release(root), "build", "plugins")).stream()
            .filter(plugin -> artifact(plugin).equals("central-publishing-maven-plugin"))
            .findFirst()
            .orElseThrow();
    Set<String> unpublished =
        modules.values().stream()
            .filter(pom -> !isPublished(pom))
            .map(PublishedTest::artifact)
            .collect(Collectors.toSet());
    Set<String> excluded =
        children(child(publishing, "configuration", "excludeArtifacts")).stream()
            .map(Node::getTextContent)
            .collect(Collectors.toSet());
    assertEquals(unpublished, excluded);
  }

  /** The licence goes into the jars of classes and sources as a resource. */
  @Test
  void everyJarHoldsTheLicence() {
    List<String> held =
        children(child(root, "build", "resources")).stream()
            .filter(resource -> text(resource, "targetPath").equals("META-INF"))
            .flatMap(resource -> children(child(resource, "includes")).stream())
            .map(Node::getTextContent)
            .toList();
    assertEquals(List.of("LICENSE", "NOTICE"), held);
    modules.forEach((folder, pom) ->
        assertEquals(null, child(pom, "build", "resources"), folder + " would lose the licence"));
  }

  /** Whoever wants no device downloads nothing for one. */
  @Test
  void librariesForDevicesAreInAnArtifactOfTheirOwn() {
    modules.forEach((folder, pom) -> {
      for (Element dependency : children(child(pom, "dependencies"))) {
        String scope = text(dependency, "scope");
        if (artifact(dependency).endsWith("-natives")) {
          assertTrue(folder.equals("cuda") || scope.equals("test"), folder);
        }
        if (artifact(dependency).equals("reverie-cuda")) {
          assertEquals("app", folder);
        }
      }
    });
  }

  @Test
  void documentsNameTheVersion() {
    String version = text(root, "version");
    for (String document : List.of("README.md", "docs/install.md", "examples/README.md")) {
      String page = Project.read(Project.ROOT.resolve(document));
      COORDINATES
          .matcher(page)
          .results()
          .forEach(match -> assertEquals(version, match.group(2), document));
      ARCHIVE
          .matcher(page)
          .results()
          .forEach(match -> assertEquals(version, match.group(1), document));
    }
  }
}
