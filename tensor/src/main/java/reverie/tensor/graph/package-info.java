// SPDX-License-Identifier: Apache-2.0

/**
 * Steps that are captured once and replayed: a {@link reverie.tensor.graph.CapturedFunction} takes
 * and gives records of tensors, {@link reverie.tensor.graph.MicroBatched} does so for a batch, a
 * few samples at a time.
 *
 * <p>A {@link reverie.tensor.graph.CapturedGraph} is traced with shapes alone. {@code DeadCode}
 * drops what nobody reads, the backend arranges the steps, {@code CopyElision} has written at once
 * where it would be copied, {@code Rematerialization} trades memory for work, {@code Liveness} and
 * {@code MemoryPlan} give every tensor its place, and the backend prepares the calls.
 */
package reverie.tensor.graph;
