// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import tools.jackson.core.json.JsonWriteFeature;
import tools.jackson.databind.ObjectWriter;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** Puts the keys of a {@link SchedulerConfig} into the text of its file. */
final class SchedulerConfigWriter {
  /** Writes {@code -Infinity} as Python does. */
  private static final ObjectWriter WRITER =
      JsonMapper.builder()
          .disable(JsonWriteFeature.WRITE_NAN_AS_STRINGS)
          .build()
          .writerWithDefaultPrettyPrinter();

  private SchedulerConfigWriter() {}

  static String write(SchedulerConfig config) {
    ObjectNode out = JsonMapper.shared().createObjectNode();
    out.put(SchedulerConfigReader.CLASS_NAME, config.className());
    config.source().forEach(out::set);
    out.put("num_train_timesteps", config.trainSteps());
    if (config.flow().isPresent()) {
      flow(config, config.flow().get(), out);
    } else {
      diffusion(config, out);
    }
    return WRITER.writeValueAsString(out) + "\n";
  }

  private static void diffusion(SchedulerConfig config, ObjectNode out) {
    out.put("beta_schedule", config.betaSchedule().key());
    out.put("beta_start", config.betaStart());
    out.put("beta_end", config.betaEnd());
    if (config.trainedBetas().isEmpty()) {
      out.putNull("trained_betas");
    } else {
      config.trainedBetas().forEach(out.putArray("trained_betas")::add);
    }
    out.put("prediction_type", config.prediction().key());
    out.put("timestep_spacing", config.spacing().key());
    out.put("steps_offset", config.stepsOffset());
    out.put("set_alpha_to_one", config.endsClean());
    out.put("clip_sample", config.clipSample());
    out.put("clip_sample_range", config.clipSampleRange());
    if (config.zeroTerminalSnr() || config.source().containsKey(SchedulerConfigReader.ZERO_SNR)) {
      out.put(SchedulerConfigReader.ZERO_SNR, config.zeroTerminalSnr());
    }
  }

  private static void flow(SchedulerConfig config, SchedulerConfig.Flow flow, ObjectNode out) {
    out.put("shift", flow.shift());
    out.put("use_dynamic_shifting", flow.dynamic().isPresent());
    if (config.spacing() != flow.spacing()) {
      out.put("timestep_spacing", config.spacing().key());
    }
    flow.dynamic()
        .ifPresent(dynamic -> {
          out.put("base_shift", dynamic.baseShift());
          out.put("max_shift", dynamic.maxShift());
          out.put("base_image_seq_len", dynamic.baseTokens());
          out.put("max_image_seq_len", dynamic.maxTokens());
          out.put("time_shift_type", dynamic.exponential() ? "exponential" : "linear");
        });
  }
}
