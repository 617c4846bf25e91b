// SPDX-License-Identifier: Apache-2.0
package reverie.app;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import reverie.tensor.Rng;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Sound JSON of another shape, which damage to bytes hardly ever makes. */
final class JsonMutants {
  private static final JsonMapper JSON = JsonMapper.shared();

  /** Values that stand where others are expected. */
  private static final List<JsonNode> ODD =
      List.of(
          JSON.readTree("null"),
          JSON.readTree("true"),
          JSON.readTree("-1"),
          JSON.readTree("0.5"),
          JSON.readTree("1e300"),
          JSON.readTree("99999999999999999999"),
          JSON.readTree("\"\""),
          JSON.readTree("\"x\\u0000/..\""),
          JSON.readTree("[]"),
          JSON.readTree("{}"),
          JSON.readTree("[null, [], {}]"),
          JSON.readTree("{\"a\": null, \"b\": {\"c\": []}}"));

  private JsonMutants() {}

  /** The n-th; empty if the file is no JSON, or lines of it. */
  static Optional<byte[]> of(byte[] sound, long n) {
    String text = new String(sound, StandardCharsets.UTF_8);
    Rng rng = Rng.of(n).fork("shape");
    return mutated(text, rng)
        .or(() -> ofLines(text.lines().toList(), rng))
        .map(other -> other.getBytes(StandardCharsets.UTF_8));
  }

  private static Optional<String> ofLines(List<String> lines, Rng rng) {
    int chosen = rng.below(0, Math.max(1, lines.size()));
    return lines.size() < 2
        ? Optional.empty()
        : mutated(lines.get(chosen), rng)
            .map(other -> {
              List<String> all = new ArrayList<>(lines);
              all.set(chosen, other);
              return all.stream().collect(Collectors.joining("\n", "", "\n"));
            });
  }

  private static Optional<String> mutated(String text, Rng rng) {
    JsonNode root;
    try {
      root = JSON.readTree(text);
    } catch (JacksonException e) {
      return Optional.empty();
    }
    if (!root.isContainer()) {
      return Optional.empty();
    }
    List<UnaryOperator<JsonNode>> changes = new ArrayList<>();
    collect(root, rng, changes);
    int place = rng.below(1, changes.size() + 1);
    JsonNode changed = place == changes.size() ? odd(root, rng) : changes.get(place).apply(root);
    return Optional.of(changed.toString());
  }

  /** A change for every place below a node, done where the node is. */
  private static void collect(JsonNode node, Rng rng, List<UnaryOperator<JsonNode>> changes) {
    if (node instanceof ObjectNode object) {
      for (String key : List.copyOf(object.propertyNames())) {
        changes.add(root -> {
          if (rng.uniform(2) < 0.2) {
            object.remove(key);
          } else {
            object.set(key, odd(object.get(key), rng));
          }
          return root;
        });
        collect(object.get(key), rng, changes);
      }
    } else if (node instanceof ArrayNode array) {
      for (int i = 0; i < array.size(); i++) {
        int at = i;
        changes.add(root -> {
          if (rng.uniform(2) < 0.2) {
            array.remove(at);
          } else {
            array.set(at, odd(array.get(at), rng));
          }
          return root;
        });
        collect(array.get(i), rng, changes);
      }
    }
  }

  private static JsonNode odd(JsonNode node, Rng rng) {
    int kind = rng.below(3, ODD.size() + 3);
    return switch (kind - ODD.size()) {
      case 0 -> JSON.createArrayNode().add(node);
      case 1 -> JSON.createObjectNode().set("a", node);
      case 2 -> JSON.createArrayNode().add(node).add(node);
      default -> ODD.get(kind);
    };
  }
}
