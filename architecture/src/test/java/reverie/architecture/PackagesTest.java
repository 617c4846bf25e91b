// SPDX-License-Identifier: Apache-2.0
package reverie.architecture;

import static com.tngtech.archunit.library.Architectures.layeredArchitecture;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.library.dependencies.SliceAssignment;
import com.tngtech.archunit.library.dependencies.SliceIdentifier;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

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
