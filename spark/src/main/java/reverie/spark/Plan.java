// SPDX-License-Identifier: Apache-2.0
package reverie.spark;

import java.io.Serializable;
import reverie.rl.learn.FleetProvider.JobSource;

/**
 * What every task of a fleet knows.
 *
 * @param fleet its name, different from that of any other fleet
 * @param source of the executor's job
 * @param kernels what the driver computes with, as {@link reverie.tensor.Device#identity} says
 */
record Plan(String fleet, JobSource source, String kernels) implements Serializable {}
