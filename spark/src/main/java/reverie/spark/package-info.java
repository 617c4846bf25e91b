// SPDX-License-Identifier: Apache-2.0
/**
 * Runs on the machines of an Apache Spark cluster: {@link reverie.spark.SparkFleet} on the driver,
 * a {@link reverie.spark.Machine} in each executor.
 */
package reverie.spark;
