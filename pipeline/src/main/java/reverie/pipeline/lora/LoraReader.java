// SPDX-License-Identifier: Apache-2.0
package reverie.pipeline.lora;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import reverie.autograd.nn.Lora;
import reverie.autograd.nn.Parameter;
import reverie.autograd.nn.Parameters;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Shape;
import reverie.tensor.io.Safetensors;
import tools.jackson.databind.JsonNode;

/** Reads one file of adapters. */
final class LoraReader {
  private static final int NAMES_SHOWN = 5;

  private final Path path;
  private final Safetensors file;
  private final Map<String, Parameters> parts;
  private final JsonNode metadata;

  /** By part and module, the names in the file. */
  private final Map<String, Map<String, Map<LoraNames.Role, String>>> found = new LinkedHashMap<>();

  LoraReader(Path path, Safetensors file, Map<String, Parameters> parts) {
    this.path = path;
    this.file = file;
    this.parts = parts;
    this.metadata = LoraMetadata.parse(path, file.metadata());
  }

  Map<String, Lora> read() {
    group();
    Map<String, Map<String, Lora.Size>> sizes = new LinkedHashMap<>();
    found.forEach((part, modules) -> {
      Map<String, Lora.Size> of = new LinkedHashMap<>();
      modules.forEach((module, names) -> of.put(module, size(part, module, names)));
      sizes.put(part, of);
    });
    Map<String, Lora> loras = new LinkedHashMap<>();
    sizes.forEach((part, of) -> {
      Lora lora = new Lora(parts.get(part), of, Rng.of(0));
      loras.put(part, lora);
      for (Lora.Adapter adapter : lora.adapters()) {
        Map<LoraNames.Role, String> names = found.get(part).get(adapter.module());
        adapter.a().value().assign(file.floats(names.get(LoraNames.Role.DOWN)));
        adapter.b().value().assign(file.floats(names.get(LoraNames.Role.UP)));
      }
    });
    return loras;
  }

  private void group() {
    LoraNames names = new LoraNames(parts);
    List<String> unknown = new ArrayList<>();
    for (String name : file.names()) {
      Optional<LoraNames.Place> place = names.find(name);
      if (place.isEmpty()) {
        unknown.add(name);
        continue;
      }
      String other =
          found
              .computeIfAbsent(place.get().part(), _ -> new LinkedHashMap<>())
              .computeIfAbsent(place.get().module(), _ -> new EnumMap<>(LoraNames.Role.class))
              .put(place.get().role(), name);
      if (other != null) {
        throw error(
            "one tensor for each matrix",
            "\"" + other + "\" and \"" + name + "\"",
            "keep one of the two");
      }
    }
    if (!unknown.isEmpty() || found.isEmpty()) {
      throw error(
          "low-rank adapters of linear layers and 1×1 convolutions of " + parts.keySet(),
          unknown.isEmpty()
              ? "no tensors"
              : unknown.size()
                  + " other tensors: "
                  + String.join(", ", unknown.subList(0, Math.min(NAMES_SHOWN, unknown.size()))),
          "the file belongs to another model, or is of another kind (LoHa, LoKr, DoRA)");
    }
  }

  private Lora.Size size(String part, String module, Map<LoraNames.Role, String> names) {
    String down = names.get(LoraNames.Role.DOWN);
    String up = names.get(LoraNames.Role.UP);
    if (down == null || up == null) {
      throw error(
          "two matrices for " + part + "." + module, "only " + names.values(), "is it complete?");
    }
    Parameter base = parts.get(part).get(module + ".weight");
    Shape downShape = file.shape(down);
    int rank = downShape.rank() == 0 ? 0 : downShape.dim(0);
    if (!matrix(downShape, rank, base.fileShape().dim(1))
        || !matrix(file.shape(up), base.fileShape().dim(0), rank)) {
      throw error(
          "\""
              + down
              + "\" [r, "
              + base.fileShape().dim(1)
              + "] and \""
              + up
              + "\" ["
              + base.fileShape().dim(0)
              + ", r]",
          downShape + " and " + file.shape(up),
          "the file belongs to another model");
    }
    String alpha = names.get(LoraNames.Role.ALPHA);
    return new Lora.Size(
        rank, alpha == null ? LoraMetadata.alpha(metadata, part, module, rank) : number(alpha));
  }

  private double number(String name) {
    if (file.shape(name).size() != 1) {
      throw error("one number for \"" + name + "\"", file.shape(name), "is it an α?");
    }
    return file.dtype(name).isFloating() ? file.doubles(name)[0] : file.longs(name)[0];
  }

  /** Whether it is a matrix, or a 1×1 convolution, of this size. */
  private static boolean matrix(Shape shape, int rows, int columns) {
    return shape.equals(Shape.of(rows, columns)) || shape.equals(Shape.of(rows, columns, 1, 1));
  }

  private ReverieException error(String expected, Object got, String hint) {
    return new ReverieException("lora: " + path + ": expected " + expected + ", got " + got, hint);
  }
}
