// SPDX-License-Identifier: Apache-2.0
package reverie.app.config;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.reflect.RecordComponent;
import java.nio.charset.StandardCharsets;
import java.nio.file.InvalidPathException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Consumer;
import reverie.app.data.DataSet;
import reverie.app.reward.RewardChoice;
import reverie.rl.learn.TrainerSettings;
import reverie.tensor.io.JsonText;
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

  /** Words that stand in place of a path. */
  private static final Set<String> NO_PATHS =
      Set.of("icons-flow", "model", "template", "animals", "animal_activities");

  private final String name;
  private final Class<T> type;
  private final List<String> presets;
  private final Consumer<ObjectNode> settle;
  private final List<String> paths;
  private final Map<String, String> choices;

  /**
   * A kind of configuration.
   *
   * @param name its folder of resources: {@code NAME/defaults.yaml} and {@code NAME/PRESET.yaml}
   * @param type the record
   * @param presets the presets' names
   */
  public ConfigurationReader(String name, Class<T> type, List<String> presets) {
    this(name, type, presets, List.of("data", "base"), Map.of(), _ -> {});
  }

  /**
   * The same with settings that stand for others.
   *
   * @param paths keys of files and folders, which are kept as absolute paths
   * @param choices settings that are one of several things, and the resource that lists these
   * @param settle changes the resolved settings before they are bound
   */
  ConfigurationReader(
      String name,
      Class<T> type,
      List<String> presets,
      List<String> paths,
      Map<String, String> choices,
      Consumer<ObjectNode> settle) {
    this.paths = List.copyOf(paths);
    this.choices = Map.copyOf(choices);
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
    for (String explained : new TreeSet<>(choices.values())) {
      all.append('\n');
      resource(explained).lines().forEach(line -> all.append(("# " + line).strip()).append('\n'));
    }
    return all.toString();
  }

  /** What a setting may be, with the defaults of each. */
  private ObjectNode choices(String key) {
    return parse(choices.get(key), resource(choices.get(key)));
  }

  /** The defaults, with settings of the objective that is usual. */
  private ObjectNode start(ObjectNode defaults) {
    ObjectNode tree = defaults.deepCopy();
    if (choices.containsKey(ObjectiveTree.KEY)) {
      tree.remove(ObjectiveTree.KEY);
      merge(
          tree,
          defaults,
          defaults.objectNode().set(ObjectiveTree.KEY, defaults.get(ObjectiveTree.KEY)),
          "defaults");
    }
    return tree;
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
    ObjectNode defaults = parse("defaults", resource("defaults"));
    ObjectNode tree = start(defaults);
    if (preset != null) {
      merge(tree, defaults, parse("preset " + preset, preset(preset)), "preset " + preset);
    }
    if (file != null) {
      merge(tree, defaults, parse(file.toString(), text(file)), file.toString());
    }
    for (String setting : settings) {
      merge(tree, defaults, setting(setting), "--set " + setting);
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
    ObjectNode defaults = parse("defaults", resource("defaults"));
    ObjectNode tree = start(defaults);
    merge(tree, defaults, parse(place, yaml), place);
    for (String setting : settings) {
      merge(tree, defaults, setting(setting), "--set " + setting);
    }
    absolute(tree);
    return bind(tree, place);
  }

  /** The command whose settings these are. */
  public String name() {
    return name;
  }

  /**
   * Whether a stored configuration is of this kind.
   *
   * @param yaml the text
   * @param place the file, for errors
   */
  public boolean knows(String yaml, String place) {
    return parse("defaults", resource("defaults"))
        .propertyNames()
        .containsAll(parse(place, yaml).propertyNames());
  }

  /** A run can be resumed from another folder than it was started in. */
  private void absolute(ObjectNode tree) {
    for (String key : paths) {
      int dot = key.indexOf('.');
      ObjectNode group = dot < 0 ? tree : (ObjectNode) tree.get(key.substring(0, dot));
      String name = key.substring(dot + 1);
      String value = group.path(name).asString("");
      if (!value.isEmpty() && !NO_PATHS.contains(value) && DataSet.named(value).isEmpty()) {
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
  private void merge(ObjectNode base, ObjectNode defaults, ObjectNode layer, String place) {
    for (var entry : layer.properties()) {
      JsonNode value = entry.getValue();
      switch (choices.containsKey(entry.getKey()) ? entry.getKey() : "") {
        case ObjectiveTree.KEY ->
            ObjectiveTree.merge(base, choices(ObjectiveTree.KEY), value, place);
        case RewardTree.KEY ->
            RewardTree.merge(
                (ObjectNode) base.get(RewardTree.KEY),
                (ObjectNode) defaults.get(RewardTree.KEY),
                choices(RewardTree.KEY),
                value,
                place,
                RewardTree.KEY);
        case RewardTree.WATCH ->
            base.set(
                RewardTree.WATCH,
                RewardTree.each(value, choices(RewardTree.WATCH), place, RewardTree.WATCH));
        default -> SettingsTree.set(base, defaults, entry.getKey(), value, place, "");
      }
    }
  }

  /** Reads a single reward; see {@link FinetuneConfig#reward}. */
  RewardChoice reward(String yaml, String place) {
    JsonNode value;
    try {
      value = YAML.readTree(yaml);
    } catch (JacksonException e) {
      throw new ConfigurationException(
          place + ": this is no YAML: " + e.getOriginalMessage(), "for example " + place + " name");
    }
    if (value.isString()) {
      value = YAML.createObjectNode().set("name", value);
    }
    JsonNode tree = RewardTree.complete(value, choices(RewardTree.KEY), place, RewardTree.KEY);
    try {
      return YAML.treeToValue(tree, RewardChoice.class);
    } catch (JacksonException e) {
      throw BindingErrors.explain(e, tree, place);
    }
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

  static ObjectNode parse(String place, String yaml) {
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

  /** The presets' names. */
  public List<String> presets() {
    return presets;
  }

  private String preset(String preset) {
    if (!presets.contains(preset)) {
      throw new ConfigurationException(
          String.format(Locale.ROOT, "--preset %s: there is no such preset", preset),
          Nearest.to(preset, presets)
              .map(nearest -> "did you mean '" + nearest + "'?")
              .orElse("the presets are: " + String.join(", ", presets)));
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
      return JsonText.text(file, JsonText.MAX_BYTES);
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
