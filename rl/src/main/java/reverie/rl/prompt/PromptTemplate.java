// SPDX-License-Identifier: Apache-2.0
package reverie.rl.prompt;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import reverie.tensor.ReverieException;

/**
 * Every combination of a template with the words of its slots, counted like an odometer: the last
 * slot turns first. {@code {a:animal}} puts "a" or "an" before the word.
 */
record PromptTemplate(String template, Map<String, List<String>> slots, int size)
    implements PromptSource {
  private static final Pattern SLOT = Pattern.compile("\\{(an?:)?([A-Za-z0-9_-]+)}");

  static PromptTemplate parse(String template, Map<String, List<String>> words) {
    Map<String, List<String>> slots = new LinkedHashMap<>();
    Matcher matcher = SLOT.matcher(template);
    long size = 1;
    while (matcher.find()) {
      String slot = matcher.group(2);
      List<String> choices = words.containsKey(slot) ? words.get(slot) : Words.shipped(slot);
      if (choices.isEmpty()) {
        throw new ReverieException(
            "prompt template: \"" + template + "\" has the slot {" + slot + "} without words",
            "give a list of words for " + slot);
      }
      if (slots.put(slot, List.copyOf(choices)) == null) {
        size *= choices.size();
      }
      if (size > Integer.MAX_VALUE) {
        throw new ReverieException(
            "prompt template: \"" + template + "\" has more than 2147483647 combinations",
            "give shorter lists of words");
      }
    }
    var unused = new TreeSet<>(words.keySet());
    unused.removeAll(slots.keySet());
    if (!unused.isEmpty()) {
      throw new ReverieException(
          "prompt template: \"" + template + "\" has no slot for the words of " + unused,
          "write {" + unused.first() + "} where the word belongs, or drop the list");
    }
    return new PromptTemplate(template, slots, (int) size);
  }

  @Override
  public Prompt get(int index) {
    java.util.Objects.checkIndex(index, size);
    Map<String, String> chosen = new LinkedHashMap<>();
    int rest = index;
    for (var slot : slots.entrySet().stream().toList().reversed()) {
      chosen.put(slot.getKey(), slot.getValue().get(rest % slot.getValue().size()));
      rest /= slot.getValue().size();
    }
    String text =
        SLOT.matcher(template)
            .replaceAll(m -> {
              String word = chosen.get(m.group(2));
              return Matcher.quoteReplacement(m.group(1) == null ? word : Words.withArticle(word));
            });
    return new Prompt(text, chosen);
  }
}
