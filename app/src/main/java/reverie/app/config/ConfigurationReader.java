// SPDX-License-Identifier: Apache-2.0
package reverie.app.config;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.reflect.RecordComponent;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import reverie.rl.learn.TrainerSettings;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.MapperFeature;
import tools.jackson.databind.PropertyNamingStrategies;
import tools.jackson.databind.cfg.EnumFeature;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.dataformat.yaml.YAMLMapper;
import tools.jackson.dataformat.yaml.YAMLWriteFeature;

/**
 * Resolves a configuration: the defaults, then a preset, then the user's file, then single settings
 * from the command line, each on top of the one before.
 *
 * <p>The defaults are a resource file that names and explains every setting there is; whatever
 * comes on top may only change them. So an unknown key is found by name in the layer that has it,
 * and the file is the documentation.
 *
 * @param <T> the record that holds the settings; its components are the keys, in snake case
 */
public final class ConfigurationReader<T extends Record> {
  static final YAMLMapper YAML =
      YAMLMapper.builder()
          .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
          .disable(MapperFeature.ALLOW_COERCION_OF_SCALARS)
          .enable(MapperFeature.ACCEPT_CASE_INSENSITIVE_ENUMS)
          .disable(DeserializationFeature.ACCEPT_FLOAT_AS_INT)
          .enable(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
          // Keys are checked against the defaults; a record takes those that it knows.
          .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
          .addModule(Bindings.module())
          .enable(DeserializationFeature.FAIL_ON_NULL_CREATOR_PROPERTIES)
          .enable(DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES)
          .enable(EnumFeature.FAIL_ON_NUMBERS_FOR_ENUMS)
          .enable(DeserializationFeature.FAIL_ON_READING_DUP_TREE_KEY)
          .disable(YAMLWriteFeature.WRITE_DOC_START_MARKER)
          .enable(YAMLWriteFeature.MINIMIZE_QUOTES)
          .build();

  /** The setting whose value is one of several groups, which have a resource of their own. */
  private static final String CHOICE = "objective";

  /** Words that stand in place of a path. */
  private static final Set<String> NO_PATHS = Set.of("icons", "model", "template");

  private final String name;
  private final Class<T> type;
  private final List<String> presets;
  private final Consumer<ObjectNode> settle;
  private final List<String> paths;

  /**
   * A kind of configuration.
   *
   * @param name its folder of resources: {@code NAME/defaults.yaml} and {@code NAME/PRESET.yaml}
   * @param type the record
   * @param presets the presets' names
   */
  public ConfigurationReader(String name, Class<T> type, List<String> presets) {
    this(name, type, presets, List.of("data", "base"), _ -> {});
  }

  /**
   * The same with settings that stand for others.
   *
   * @param paths keys of files and folders, which are kept as absolute paths
   * @param settle changes the resolved settings before they are bound
   */
  ConfigurationReader(
      String name,
      Class<T> type,
      List<String> presets,
      List<String> paths,
      Consumer<ObjectNode> settle) {
    this.paths = List.copyOf(paths);
    this.name = name;
    this.type = type;
    this.presets = List.copyOf(presets);
    this.settle = settle;
  }

  /**
   * The defaults with their explanations.
   *
   * @return YAML
   */
  public String documentation() {
    StringBuilder all = new StringBuilder(resource("defaults"));
    if (choices().isEmpty()) {
      return all.toString();
    }
    all.append('\n');
    resource(CHOICE).lines().forEach(line -> all.append(("# " + line).strip()).append('\n'));
    return all.toString();
  }

  /**
   * The groups of which {@link #CHOICE} is one, with their defaults; empty where there are none.
   */
  private ObjectNode choices() {
    return ConfigurationReader.class.getResource(name + "/" + CHOICE + ".yaml") == null
        ? YAML.createObjectNode()
        : parse(CHOICE, resource(CHOICE));
  }

  private ObjectNode defaults() {
    ObjectNode defaults = parse("defaults", resource("defaults"));
    ObjectNode choices = choices();
    if (!choices.isEmpty()) {
      defaults.set(CHOICE, choices);
    }
    return defaults;
  }

  /** The defaults, with one of the choices. */
  private ObjectNode start(ObjectNode defaults) {
    ObjectNode tree = defaults.deepCopy();
    if (defaults.has(CHOICE)) {
      tree.set(CHOICE, YAML.createObjectNode());
      choose(tree, defaults, parse("defaults", resource("defaults")).get(CHOICE), "defaults");
    }
    return tree;
  }

  /** Takes a choice, {@code NAME} or {@code {NAME: settings}}; what was set of it before stays. */
  private static void choose(ObjectNode tree, ObjectNode defaults, JsonNode value, String place) {
    ObjectNode choices = (ObjectNode) defaults.get(CHOICE);
    boolean group = value instanceof ObjectNode;
    String chosen =
        group
            ? value.size() == 1 ? first((ObjectNode) value) : ""
            : value.asString("").toLowerCase(Locale.ROOT);
    if (!choices.has(chosen)) {
      String shown = value.isString() ? "'" + value.stringValue() + "'" : value.toString();
      throw new ConfigurationException(
          String.format(
              Locale.ROOT,
              "%s: '%s' must be one of %s, but is %s",
              place,
              CHOICE,
              String.join(", ", choices.propertyNames()),
              shown),
          Nearest.to(
                  group && value.size() == 1 ? first((ObjectNode) value) : chosen,
                  choices.propertyNames())
              .map(nearest -> "did you mean '" + nearest + "'?")
              .orElse("for example --set " + CHOICE + "=" + first(choices)));
    }
    JsonNode before = tree.get(CHOICE).get(chosen);
    ObjectNode settings =
        before == null ? ((ObjectNode) choices.get(chosen)).deepCopy() : (ObjectNode) before;
    if (group) {
      JsonNode changes = value.get(chosen);
      String path = CHOICE + "." + chosen;
      if (!(changes instanceof ObjectNode inner)) {
        throw new ConfigurationException(
            String.format(
                Locale.ROOT,
                "%s: '%s' is a group of settings, but a value came: %s",
                place,
                path,
                changes),
            "for example --set " + CHOICE + "=" + chosen);
      }
      merge(settings, (ObjectNode) choices.get(chosen), inner, place, path);
    }
    tree.set(CHOICE, YAML.createObjectNode().set(chosen, settings));
  }

  /**
   * Resolves a configuration.
   *
   * @param preset a preset's name, or null
   * @param file the user's file, or null
   * @param settings {@code key.path=value} each
   * @return the settings
   * @throws ConfigurationException for anything that is wrong, naming key and place
   */
  public Configuration<T> read(String preset, Path file, List<String> settings) {
    ObjectNode defaults = defaults();
    ObjectNode tree = start(defaults);
    if (preset != null) {
      merge(tree, defaults, parse("preset " + preset, preset(preset)), "preset " + preset, "");
    }
    if (file != null) {
      merge(tree, defaults, parse(file.toString(), text(file)), file.toString(), "");
    }
    for (String setting : settings) {
      merge(tree, defaults, setting(setting), "--set " + setting, "");
    }
    absolute(tree);
    return bind(tree, file == null ? name + " configuration" : file.toString());
  }

  /**
   * Reads back what {@link Configuration#yaml} wrote.
   *
   * @param yaml the text
   * @param place the file, for errors
   * @param settings {@code key.path=value} each, on top of it
   * @return the settings
   */
  public Configuration<T> readStored(String yaml, String place, List<String> settings) {
    ObjectNode defaults = defaults();
    ObjectNode tree = start(defaults);
    merge(tree, defaults, parse(place, yaml), place, "");
    for (String setting : settings) {
      merge(tree, defaults, setting(setting), "--set " + setting, "");
    }
    absolute(tree);
    return bind(tree, place);
  }

  /** A run can be resumed from another folder than it was started in. */
  private void absolute(ObjectNode tree) {
    for (String key : paths) {
      int dot = key.indexOf('.');
      ObjectNode group = dot < 0 ? tree : (ObjectNode) tree.get(key.substring(0, dot));
      String name = key.substring(dot + 1);
      String value = group.path(name).asString("");
      if (!value.isEmpty() && !NO_PATHS.contains(value)) {
        try {
          group.put(name, Path.of(value).toAbsolutePath().normalize().toString());
        } catch (InvalidPathException e) {
          throw new ConfigurationException(
              "'" + key + "' is no path: " + e.getReason(), "check it for odd characters");
        }
      }
    }
  }

  private Configuration<T> bind(ObjectNode tree, String place) {
    ObjectNode settled = tree.deepCopy();
    settle.accept(settled);
    for (RecordComponent component : type.getRecordComponents()) {
      if (component.getType() == TrainerSettings.class) {
        settled.set(component.getName(), Bindings.training(settled));
      }
    }
    T value;
    try {
      value = YAML.treeToValue(settled, type);
    } catch (JacksonException e) {
      throw BindingErrors.explain(e, settled, place);
    }
    RangeCheck.check(value, place);
    return new Configuration<>(value, tree);
  }

  /** Changes {@code base} by {@code layer}, which may only have keys that the defaults have. */
  private static void merge(
      ObjectNode base, ObjectNode defaults, ObjectNode layer, String place, String path) {
    for (var entry : layer.properties()) {
      String key = entry.getKey();
      String full = path.isEmpty() ? key : path + "." + key;
      if (full.equals(CHOICE) && defaults.has(CHOICE)) {
        choose(base, defaults, entry.getValue(), place);
        continue;
      }
      JsonNode known = defaults.get(key);
      if (known == null) {
        throw unknown(full, key, defaults, place, path);
      }
      JsonNode value = entry.getValue();
      if (known instanceof ObjectNode inner && !isFree(inner)) {
        if (!(value instanceof ObjectNode settings)) {
          throw new ConfigurationException(
              String.format(
                  Locale.ROOT,
                  "%s: '%s' is a group of settings (%s), but a value came: %s",
                  place,
                  full,
                  String.join(", ", inner.propertyNames()),
                  value),
              "write the settings indented under it, or --set " + full + "." + first(inner) + "=…");
        }
        merge((ObjectNode) base.get(key), inner, settings, place, full);
      } else {
        base.set(key, value);
      }
    }
  }

  /** A map whose keys are the user's own is empty in the defaults. */
  private static boolean isFree(ObjectNode defaults) {
    return defaults.isEmpty();
  }

  private static ConfigurationException unknown(
      String full, String key, ObjectNode known, String place, String path) {
    String where = path.isEmpty() ? "" : " in '" + path + "'";
    String hint =
        Nearest.to(key, known.propertyNames())
            .map(nearest ->
                "did you mean '" + (path.isEmpty() ? nearest : path + "." + nearest) + "'?")
            .orElse("known keys" + where + ": " + String.join(", ", known.propertyNames()));
    return new ConfigurationException(
        String.format(Locale.ROOT, "%s: unknown key '%s'", place, full), hint);
  }

  private static String first(ObjectNode node) {
    return node.propertyNames().iterator().next();
  }

  private static ObjectNode setting(String text) {
    int equals = text.indexOf('=');
    if (equals <= 0) {
      throw new ConfigurationException(
          "--set " + text + ": expected key.path=value", "for example --set sampling.steps=20");
    }
    JsonNode value;
    try {
      value = YAML.readTree(text.substring(equals + 1));
    } catch (JacksonException e) {
      throw new ConfigurationException(
          "--set " + text + ": the value is no YAML: " + e.getOriginalMessage(),
          "put it in quotes");
    }
    if (value.isMissingNode()) {
      value = YAML.nullNode();
    }
    String[] keys = text.substring(0, equals).strip().split("\\.", -1);
    for (int i = keys.length - 1; i >= 0; i--) {
      value = YAML.createObjectNode().set(keys[i], value);
    }
    return (ObjectNode) value;
  }

  private static ObjectNode parse(String place, String yaml) {
    JsonNode tree;
    try {
      tree = YAML.readTree(yaml);
    } catch (JacksonException e) {
      String where = e.getLocation() == null ? "" : " in line " + e.getLocation().getLineNr();
      throw new ConfigurationException(
          String.format(
              Locale.ROOT,
              "%s: this is no YAML%s: %s",
              place,
              where,
              e.getOriginalMessage().lines().findFirst().orElse("")),
          "check the indentation there: two spaces a level, a space after each colon");
    }
    if (tree.isMissingNode() || tree.isNull()) {
      return YAML.createObjectNode();
    }
    if (tree instanceof ObjectNode object) {
      return object;
    }
    throw new ConfigurationException(
        place + ": expected settings of the form 'key: value', but it is " + tree.getNodeType(),
        "reverie finetune --show-config prints a complete example");
  }

  private String preset(String preset) {
    if (!presets.contains(preset)) {
      throw new ConfigurationException(
          String.format(Locale.ROOT, "--preset %s: there is no such preset", preset),
          Nearest.to(preset, presets)
              .map(nearest -> "did you mean '" + nearest + "'?")
              .orElse(presets.stream().collect(Collectors.joining(", ", "the presets are ", ""))));
    }
    return resource(preset);
  }

  private String resource(String file) {
    String path = name + "/" + file + ".yaml";
    try (InputStream in = ConfigurationReader.class.getResourceAsStream(path)) {
      if (in == null) {
        throw new IllegalStateException("resource missing: " + path);
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String text(Path file) {
    try {
      return Files.readString(file);
    } catch (NoSuchFileException e) {
      throw new ConfigurationException(
          "--config " + file + ": there is no such file",
          "check the path; it is relative to where you are");
    } catch (IOException e) {
      throw new ConfigurationException(
          "--config " + file + ": it cannot be read: " + e.getMessage(),
          "it must be a text file in UTF-8");
    }
  }
}
