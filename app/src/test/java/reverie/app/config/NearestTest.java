// SPDX-License-Identifier: Apache-2.0
package reverie.app.config;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class NearestTest {
  @Test
  void countsEdits() {
    assertEquals(0, Nearest.distance("seed", "seed"));
    assertEquals(1, Nearest.distance("sede", "seed"));
    assertEquals(1, Nearest.distance("esed", "seed"));
    assertEquals(2, Nearest.distance("esde", "seed"));
    assertEquals(3, Nearest.distance("kitten", "sitting"));
    assertEquals(4, Nearest.distance("", "seed"));
  }

  @Test
  void suggestsOnlyWhatCouldBeMeant() {
    assertEquals(
        Optional.of("clip_range"), Nearest.to("clipRange", List.of("clip_norm", "clip_range")));
    assertEquals(Optional.empty(), Nearest.to("q", List.of("advantage")));
    assertEquals(Optional.empty(), Nearest.to("anything", List.of()));
  }
}
