// SPDX-License-Identifier: Apache-2.0
package reverie.bench.report;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonUnwrapped;
import java.util.List;
import java.util.Map;
import reverie.bench.measure.Roofline;

/**
 * Everything that one run of the benchmarks found, as it is written to JSON. What was not asked for
 * is null.
 *
 * @param command how it was called
 * @param machine what it ran on
 * @param device this engine's device
 * @param roofline what the machine can do
 * @param peers the comparison with LibTorch; its parts lie at the top of the file
 * @param operations single operations
 * @param profiles whole steps of this engine
 * @param scaling how they grow
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record Results(
    String command,
    Map<String, Object> machine,
    String device,
    Roofline roofline,
    @JsonUnwrapped PeerResults peers,
    List<OperationRow> operations,
    List<Profiled> profiles,
    List<ScalingRow> scaling) {}
