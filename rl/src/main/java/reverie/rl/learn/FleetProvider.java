// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.io.Serializable;
import java.util.Map;
import java.util.function.Supplier;

/** Knows machines beside this one; a service of the module that does. */
public interface FleetProvider {
  /**
   * Makes a run's fleet of a cluster.
   *
   * @param url of its master
   * @param settings its own, by their names there
   * @param job on this machine
   * @param source of every other machine's job; asked when samples are first drawn
   * @return a fleet that is to be closed
   */
  Fleet fleet(String url, Map<String, String> settings, Fleet.Job job, Supplier<JobSource> source);

  /** Makes a machine's own copy of what a fleet works on. */
  interface JobSource extends Serializable {
    /**
     * Called once on each machine, in an open scope that stays open.
     *
     * @return a job whose model begins with the weights of the driver's
     */
    Opened open();
  }

  /**
   * A job and what ends with it.
   *
   * @param job with a model, a reward and gradients of its own
   * @param parts closes all that was made
   */
  record Opened(Fleet.Job job, AutoCloseable parts) {}
}
