// SPDX-License-Identifier: Apache-2.0
package reverie.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.StreamSupport;
import org.apache.spark.deploy.SparkSubmitArguments;
import org.apache.spark.internal.config.ConfigEntry$;
import org.apache.spark.internal.config.UI$;
import org.apache.spark.internal.config.package$;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import scala.jdk.javaapi.CollectionConverters;
import tools.jackson.databind.JsonNode;
import tools.jackson.dataformat.yaml.YAMLMapper;

/** What the recipes for clusters name is there. No cluster is. */
class RecipesTest {
  private static final Path ROOT = Path.of("..");
  private static final Path KUBERNETES = ROOT.resolve("packaging/spark/kubernetes.yaml");
  private static final String IMAGE = "REGISTRY/reverie-spark:0.1.0";

  /** A setting by itself in code or on a command line; executors' environment has any names. */
  private static final Pattern SETTING =
      Pattern.compile("[`\"' =](spark\\.(?!executorEnv|kubernetes)[A-Za-z.]+)[`\"=]");

  private static Map<String, JsonNode> kinds() throws IOException {
    try (var documents =
        new YAMLMapper().readerFor(JsonNode.class).<JsonNode>readValues(KUBERNETES.toFile())) {
      return documents.readAll().stream()
          .collect(Collectors.toMap(node -> node.get("kind").asString(), Function.identity()));
    }
  }

  private static String name(JsonNode object) {
    return object.get("metadata").get("name").asString();
  }

  private static SparkSubmitArguments submission(JsonNode driver) {
    List<String> args =
        StreamSupport.stream(driver.get("args").spliterator(), false)
            .map(JsonNode::asString)
            .toList();
    assertEquals("/opt/spark/bin/spark-submit", args.getFirst());
    return new SparkSubmitArguments(
        CollectionConverters.asScala(args.subList(1, args.size())).toSeq(),
        scala.collection.immutable.Map$.MODULE$.<String, String>empty());
  }

  @Test
  void whatIsSubmittedIsThere() throws IOException {
    JsonNode pod = kinds().get("Job").at("/spec/template/spec");
    JsonNode driver = pod.get("containers").get(0);
    SparkSubmitArguments submitted = submission(driver);
    assertEquals("client", submitted.deployMode());
    Path main = Path.of("app/src/main/java", submitted.mainClass().replace('.', '/') + ".java");
    assertTrue(Files.exists(ROOT.resolve(main)), main.toString());
    String image = Files.readString(ROOT.resolve("packaging/spark/Dockerfile"));
    Path jar = Path.of(submitted.primaryResource().replaceFirst("^local://", ""));
    assertTrue(image.contains("WORKDIR " + jar.getParent()), image);
    assertTrue(image.contains("COPY spark/target/" + jar.getFileName() + " "), image);
    assertTrue(image.contains("-t " + IMAGE + " "), image);
    assertTrue(
        Files.readString(ROOT.resolve("packaging/package-spark.sh"))
            .contains("spark/target/" + jar.getFileName()));
    Map<String, String> settings = CollectionConverters.asJava(submitted.sparkProperties());
    assertEquals(IMAGE, driver.get("image").asString());
    assertEquals(IMAGE, settings.get("spark.kubernetes.container.image"));
    List<String> finetune = CollectionConverters.asJava(submitted.childArgs());
    assertEquals("finetune", finetune.getFirst());
    assertTrue(finetune.contains("--spark=" + submitted.master()), finetune.toString());
  }

  @Test
  void thePartsOfTheManifestBelongTogether() throws IOException {
    Map<String, JsonNode> kinds = kinds();
    JsonNode template = kinds.get("Job").at("/spec/template");
    JsonNode driver = template.at("/spec/containers/0");
    String account = name(kinds.get("ServiceAccount"));
    assertEquals(account, template.at("/spec/serviceAccountName").asString());
    assertEquals(account, kinds.get("RoleBinding").at("/subjects/0/name").asString());
    assertEquals(name(kinds.get("Role")), kinds.get("RoleBinding").at("/roleRef/name").asString());
    JsonNode service = kinds.get("Service");
    assertEquals(service.at("/spec/selector"), template.at("/metadata/labels"));
    Map<String, String> settings =
        CollectionConverters.asJava(submission(driver).sparkProperties());
    assertEquals(name(service) + ".$(NAMESPACE).svc", settings.get("spark.driver.host"));
    assertEquals(service.at("/spec/ports/0/port").asString(), settings.get("spark.driver.port"));
    assertEquals(
        service.at("/spec/ports/1/port").asString(),
        settings.get("spark.driver.blockManager.port"));
    assertEquals(
        name(kinds.get("PersistentVolumeClaim")),
        template.at("/spec/volumes/0/persistentVolumeClaim/claimName").asString());
    assertEquals(template.at("/spec/volumes/0/name"), driver.at("/volumeMounts/0/name"));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "packaging/spark/kubernetes.yaml",
        "packaging/spark/standalone.sh",
        "docs/scaling.md",
        "spark/src/main/java/reverie/spark/SparkSettings.java"
      })
  void sparkKnowsTheSettings(String file) throws IOException {
    assertNotNull(package$.MODULE$);
    assertNotNull(UI$.MODULE$);
    Set<String> named =
        SETTING
            .matcher(Files.readString(ROOT.resolve(file)))
            .results()
            .map(setting -> setting.group(1))
            .collect(Collectors.toCollection(TreeSet::new));
    assertTrue(!named.isEmpty());
    named.removeIf(name ->
        name.matches("spark.(executor|task).resource.gpu.amount")
            || ConfigEntry$.MODULE$.findEntry(name) != null);
    assertEquals(Set.of(), named);
  }
}
