// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion.likelihood;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import reverie.diffusion.NoiseSchedule;
import reverie.tensor.ReverieException;

class NoiseLevelsTest {
  @Test
  void passesThroughTheTimestepsAndRises() {
    for (NoiseSchedule schedule :
        new NoiseSchedule[] {
          NoiseSchedule.linear(1000, 1e-4, 0.02),
          // Its last timestep lies far from the one before.
          NoiseSchedule.squaredCosine(1000),
          NoiseSchedule.linear(2, 0.1, 0.2)
        }) {
      NoiseLevels levels = NoiseLevels.of(schedule);
      int last = schedule.steps() - 1;
      for (int t = 0; t <= last; t++) {
        double level = levels.level(t);
        assertEquals(t, levels.timestep(level), 1e-12 * schedule.steps());
        assertEquals(schedule.alphaBar(t), NoiseLevels.signal(level), 1e-14);
        assertEquals(schedule.noiseVariance(t), NoiseLevels.noise(level), 1e-14);
      }
      double before = -1;
      for (int i = 0; i <= 20_000; i++) {
        double level = levels.lowest() + (levels.highest() - levels.lowest()) * i / 20_000;
        double t = levels.timestep(level);
        assertTrue(t > before && t <= last, () -> "timestep " + t + " at level " + level);
        assertEquals(level, levels.level(t), 1e-9);
        before = t;
      }
    }
  }

  /** Between timesteps 1 and 2 of four: the numbers of SciPy's PchipInterpolator. */
  @Test
  void liesBetweenTimestepsAsFritschAndButlandHaveIt() {
    NoiseLevels levels = NoiseLevels.of(NoiseSchedule.ofBetas(0.1, 0.3, 0.2, 0.6));
    assertEquals(1.2023201516078688, levels.timestep(-0.20158134782354573), 1e-12);
    assertEquals(1.4924660946634294, levels.timestep(-0.13705428877343734), 1e-12);
    assertEquals(1.786378990387275, levels.timestep(-0.07252722972332895), 1e-12);
  }

  @Test
  void refusesWhatLiesOutside() {
    NoiseLevels levels = NoiseLevels.of(NoiseSchedule.squaredCosine(10));
    assertThrows(ReverieException.class, () -> levels.level(9.5));
    assertThrows(ReverieException.class, () -> levels.level(Double.NaN));
    assertThrows(ReverieException.class, () -> NoiseLevels.of(NoiseSchedule.linear(1, 0.1, 0.1)));
    assertEquals(0, levels.timestep(-100));
    assertEquals(9, levels.timestep(100));
  }
}
