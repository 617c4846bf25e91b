// SPDX-License-Identifier: Apache-2.0
package reverie.rl.objective;

import java.util.stream.Stream;
import org.junit.jupiter.params.provider.Arguments;
import reverie.rl.objective.AdvantageWeightedMatching.Weight;
import reverie.rl.objective.DenoisingObjective.Lag;

/**
 * Losses and gradients that the formulas of the public codes (DiffusionNFT, AWM, and Flow-Factory's
 * CRD and DGPO) give for the samples of {@link ForwardProcessTest}, in NumPy and float64; gradients
 * by complex steps, with what the codes stop held fixed.
 */
final class PublishedLosses {
  private static final Lag LAG = Lag.NONE;

  private PublishedLosses() {}

  static Stream<Arguments> all() {
    return Stream.of(
        Arguments.of(
            new DiffusionNft(.3, true, 5, .01, LAG, 1),
            new double[] {3.1929360658524706, 4.435358333333332, 8.007025000000002},
            new double[] {
              0.45527397788989044,
              -0.22772602211010937,
              0.12050000000000041,
              -1.2005,
              -5.670500000000001,
              -3.329500000000001
            }),
        Arguments.of(
            new DiffusionNft(.3, false, 5, .01, LAG, 1),
            new double[] {13.29654166666667, 2.217691666666666, 4.448358333333333},
            new double[] {
              2.031,
              -1.0019999999999993,
              0.06050000000000021,
              -0.6004999999999999,
              -3.1505,
              -1.8495000000000001
            }),
        Arguments.of(
            new AdvantageWeightedMatching(Weight.UNIFORM, .25, 1, 5, .02, .5, LAG, 1),
            new double[] {-1.5135927820364983, 0.9324590805581651, -4.8471776677425416},
            new double[] {
              1.8476613384437979,
              -0.964330669221899,
              -0.13448181611163304,
              -0.421963632223266,
              -3.447559367419778,
              -1.404668300322762
            }),
        Arguments.of(
            new AdvantageWeightedMatching(Weight.SIGMA, .25, 1, 5, .02, .5, LAG, 1),
            new double[] {-1.6581366108915707, 0.9213966787508143, -4.861756207621685},
            new double[] {
              0.42582278661397693,
              -0.2534113933069885,
              -0.0589616014500977,
              -0.2709232029001954,
              -3.1170879108016605,
              -1.2630376760578546
            }),
        Arguments.of(
            new AdvantageWeightedMatching(Weight.SIGMA_SQUARED, .25, 1, 5, .02, .5, LAG, 1),
            new double[] {-1.688657570466358, 0.9148226774680873, -4.87491433986723},
            new double[] {
              0.10822956338238521,
              -0.09461478169119261,
              -0.014503632777702261,
              -0.18200726555540456,
              -2.8179397807047195,
              -1.1348313345877368
            }),
        Arguments.of(
            new AdvantageWeightedMatching(Weight.HUBER, .25, 1, 5, .02, .5, LAG, 1),
            new double[] {-1.675433248655203, 0.9293079323298485, -4.8678285281432006},
            new double[] {
              0.2393859355819525,
              -0.16019296779097628,
              -0.12436561261072308,
              -0.4017312252214461,
              -2.901343101973188,
              -1.1705756151313658
            }),
        Arguments.of(
            new AdvantageWeightedMatching(Weight.GHUBER, .25, 1, 5, .02, .5, LAG, 1),
            new double[] {-1.652940342536679, 0.9912758747071893, -4.651582023702981},
            new double[] {
              0.45726689325188585,
              -0.26913344662594296,
              -0.6145146778846864,
              -1.3820293557693724,
              -7.474589885821411,
              -3.13053852249489
            }),
        Arguments.of(
            new AdvantageWeightedMatching(Weight.GHUBER, .25, .001, 5, .02, .5, LAG, 1),
            new double[] {-1.652940342536679, 0.9912758747071893, -4.651582023702981},
            new double[] {
              0.45726689325188585,
              -0.26913344662594296,
              -0.6145146778846864,
              -1.3820293557693724,
              -7.474589885821411,
              -3.13053852249489
            }),
        Arguments.of(
            new CenteredRewardDistillation(2, true, 5, .01, LAG, 1),
            new double[] {0.011126670747882986, 0.5953357080910108, 0.44527762728293},
            new double[] {
              0.8804612794612842,
              -0.4417306397306422,
              -3.2526986531986526,
              -6.5068973063973035,
              -5.9087828282828285,
              -2.5316212121212116
            }),
        Arguments.of(
            new CenteredRewardDistillation(2, false, 5, .01, LAG, 1),
            new double[] {0.041423611111111196, 0.439276736111111, 0.21148506944444403},
            new double[] {
              1.5410000000000015,
              -0.7720000000000009,
              -0.8378333333333337,
              -1.6771666666666663,
              -2.036333333333331,
              -0.8719999999999991
            }),
        Arguments.of(
            new DirectGroupPreference(3, 5, 1),
            new double[] {0.9394535203586758, -0.055261971785804484, 0.8903317676601827},
            new double[] {
              1.2526046938115678,
              -0.626302346905784,
              -0.11052394357160897,
              -0.22104788714321782,
              -2.1490766805590624,
              -0.9210328630967408
            }));
  }
}
