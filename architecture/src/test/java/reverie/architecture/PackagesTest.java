// SPDX-License-Identifier: Apache-2.0
package reverie.architecture;

import static com.tngtech.archunit.library.Architectures.layeredArchitecture;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.tngtech.archunit.core.domain.Dependency;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.library.dependencies.SliceAssignment;
import com.tngtech.archunit.library.dependencies.SliceIdentifier;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Which packages may lean on which; docs/architecture.md draws it. */
class PackagesTest {
  /** The language of tensors is defined in itself; see the page of reverie.tensor. */
  private static final Set<String> LANGUAGE =
      Set.of("reverie.tensor", "reverie.tensor.op", "reverie.tensor.spi");

  private static final JavaClasses CLASSES =
      new ClassFileImporter()
          .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
          .importPackages("reverie");

  @Test
  void modulesAreLayers() {
    layeredArchitecture()
        .consideringOnlyDependenciesInLayers()
        .layer("tensor")
        .definedBy("reverie.tensor..")
        .layer("autograd")
        .definedBy("reverie.autograd..")
        .layer("unet")
        .definedBy("reverie.unet..")
        .layer("diffusion")
        .definedBy("reverie.diffusion..")
        .layer("rl")
        .definedBy("reverie.rl..")
        .layer("pipeline")
        .definedBy("reverie.pipeline..")
        .layer("app")
        .definedBy("reverie.app..")
        .layer("spark")
        .definedBy("reverie.spark..")
        .whereLayer("spark")
        .mayNotBeAccessedByAnyLayer()
        .whereLayer("app")
        .mayNotBeAccessedByAnyLayer()
        .whereLayer("rl")
        .mayOnlyBeAccessedByLayers("app", "spark")
        .whereLayer("pipeline")
        .mayOnlyBeAccessedByLayers("app")
        .whereLayer("diffusion")
        .mayOnlyBeAccessedByLayers("rl", "pipeline", "app")
        .whereLayer("unet")
        .mayOnlyBeAccessedByLayers("pipeline", "app")
        .whereLayer("autograd")
        .mayOnlyBeAccessedByLayers("unet", "diffusion", "rl", "pipeline", "app", "spark")
        .check(CLASSES);
  }

  @Test
  void noPackagesFormACircle() {
    slices()
        .assignedFrom(
            new SliceAssignment() {
              @Override
              public SliceIdentifier getIdentifierOf(JavaClass javaClass) {
                String name = javaClass.getPackageName();
                return SliceIdentifier.of(LANGUAGE.contains(name) ? "reverie.tensor" : name);
              }

              @Override
              public String getDescription() {
                return "packages";
              }
            })
        .should()
        .beFreeOfCycles()
        .check(CLASSES);
  }

  /** Of a section of docs/architecture.md headed by a package's name. */
  private static Map<String, Set<String>> drawn(String root) {
    String section =
        Project.read(Project.ROOT.resolve("docs/architecture.md")).split("### " + root + "\n")[1];
    Map<String, Set<String>> arrows = new TreeMap<>();
    for (String line : section.substring(0, section.indexOf("\n```\n")).lines().toList()) {
      List<String> ends =
          Stream.of(line.split("-->")).map(end -> end.replaceAll("\\[.*", "").strip()).toList();
      if (ends.size() == 2) {
        arrows.computeIfAbsent(ends.get(0), _ -> new TreeSet<>()).add(ends.get(1));
        arrows.computeIfAbsent(ends.get(1), _ -> new TreeSet<>());
      }
    }
    return arrows;
  }

  private static Set<String> reached(Map<String, Set<String>> arrows, String from) {
    Set<String> reached = new TreeSet<>();
    Deque<String> open = new ArrayDeque<>(arrows.get(from));
    while (!open.isEmpty()) {
      String next = open.pop();
      if (reached.add(next)) {
        open.addAll(arrows.get(next));
      }
    }
    return reached;
  }

  @ParameterizedTest
  @ValueSource(strings = {"reverie.rl", "reverie.app"})
  void packagesLeanOnEachOtherAsDrawn(String root) {
    Map<String, Set<String>> arrows = drawn(root);
    Set<String> packages = new TreeSet<>();
    Set<String> others = new TreeSet<>();
    for (JavaClass javaClass : CLASSES) {
      String from = javaClass.getPackageName();
      if (!from.startsWith(root + ".")) {
        continue;
      }
      String name = from.substring(root.length() + 1);
      packages.add(name);
      for (Dependency dependency : javaClass.getDirectDependenciesFromSelf()) {
        String to = dependency.getTargetClass().getPackageName();
        if (to.startsWith(root + ".")
            && !to.equals(from)
            && !reached(arrows, name).contains(to.substring(root.length() + 1))) {
          others.add(dependency.getDescription());
        }
      }
    }
    assertEquals(packages, arrows.keySet());
    assertEquals(Set.of(), others);
  }

  @Test
  void everyPackageSaysWhatItIs() {
    List<Path> silent =
        Project.sources().stream()
            .map(Path::getParent)
            .distinct()
            .filter(folder -> !folder.endsWith("java"))
            .filter(folder -> Files.notExists(folder.resolve("package-info.java")))
            .map(Project.ROOT::relativize)
            .toList();
    assertEquals(List.of(), silent);
  }
}
