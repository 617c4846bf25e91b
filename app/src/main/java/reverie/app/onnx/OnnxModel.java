// SPDX-License-Identifier: Apache-2.0
package reverie.app.onnx;

import ai.onnxruntime.NodeInfo;
import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import ai.onnxruntime.TensorInfo;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.nio.LongBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.stream.Collectors;
import reverie.tensor.ReverieException;

/**
 * A model in the ONNX format. It computes on one thread in a fixed order: the same bits every time,
 * and the cores stay free for training. Errors name the file, and what it takes and gives.
 */
public final class OnnxModel implements AutoCloseable {
  private static final long DEEP_STACK = 64L << 20;

  private final String name;
  private final OrtSession session;
  private final Map<String, TensorInfo> inputs;
  private final Map<String, TensorInfo> outputs;

  private interface Opener {
    OrtSession open(OrtEnvironment environment, OrtSession.SessionOptions options)
        throws OrtException;
  }

  private OnnxModel(String name, Opener opener) {
    this.name = name;
    try {
      session = onDeepStack(() -> open(opener));
      inputs = tensors(session.getInputInfo());
      outputs = tensors(session.getOutputInfo());
    } catch (OrtException e) {
      throw new ReverieException(
          name + ": this is no ONNX model that can be run: " + message(e),
          "export it again, for opset 21 or below",
          e);
    }
  }

  /**
   * Reads a file.
   *
   * @throws ReverieException if it is missing, damaged or no ONNX model
   */
  public static OnnxModel read(Path file) {
    if (!Files.isRegularFile(file)) {
      throw new ReverieException("model '" + file + "' does not exist", "check the path");
    }
    return new OnnxModel(
        "model '" + file + "'",
        (environment, options) -> environment.createSession(file.toString(), options));
  }

  /**
   * Reads a model from memory.
   *
   * @param name for errors
   */
  public static OnnxModel of(String name, byte[] bytes) {
    return new OnnxModel(name, (environment, options) -> environment.createSession(bytes, options));
  }

  private static OrtSession open(Opener opener) throws OrtException {
    OrtEnvironment environment = OnnxLibrary.environment(); // before options, which load it too
    try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
      options.setIntraOpNumThreads(1);
      options.setInterOpNumThreads(1);
      options.setExecutionMode(OrtSession.SessionOptions.ExecutionMode.SEQUENTIAL);
      return opener.open(environment, options);
    }
  }

  private interface Load {
    OrtSession load() throws OrtException;
  }

  /**
   * ONNX Runtime walks the graph recursively and overflows an ordinary Java stack of 1 MB, which
   * kills the JVM.
   */
  private static OrtSession onDeepStack(Load task) throws OrtException {
    FutureTask<OrtSession> result = new FutureTask<>(task::load);
    Thread.ofPlatform().name("load ONNX model").daemon().stackSize(DEEP_STACK).start(result);
    try {
      return result.get();
    } catch (ExecutionException e) {
      switch (e.getCause()) {
        case OrtException failure -> throw failure;
        case RuntimeException failure -> throw failure;
        case Throwable failure -> throw new IllegalStateException(failure);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new ReverieException("interrupted while an ONNX model was loaded");
    }
  }

  private static Map<String, TensorInfo> tensors(Map<String, NodeInfo> nodes) {
    Map<String, TensorInfo> tensors = new LinkedHashMap<>();
    nodes.forEach((key, node) -> {
      if (node.getInfo() instanceof TensorInfo tensor) {
        tensors.put(key, tensor);
      }
    });
    return tensors;
  }

  /** Names of what it takes. */
  public Set<String> inputs() {
    return inputs.keySet();
  }

  /** Names of what it gives. */
  public Set<String> outputs() {
    return outputs.keySet();
  }

  /** What it takes and gives, for errors: {@code takes pixels FLOAT[-1, 3, 224, 224]; gives …}. */
  public String described() {
    return "takes " + described(inputs) + "; gives " + described(outputs);
  }

  private static String described(Map<String, TensorInfo> tensors) {
    return tensors.entrySet().stream()
        .map(entry -> entry.getKey() + " " + described(entry.getValue()))
        .collect(Collectors.joining(", "));
  }

  private static String described(TensorInfo tensor) {
    return tensor.type + Arrays.toString(tensor.getShape());
  }

  /**
   * Computes.
   *
   * @param values one for each input
   * @return every output that holds numbers
   * @throws ReverieException if a value does not fit its input
   */
  public Map<String, OnnxValue> run(Map<String, OnnxValue> values) {
    Map<String, OnnxTensor> tensors = new LinkedHashMap<>();
    try {
      for (var entry : inputs.entrySet()) {
        OnnxValue value = values.get(entry.getKey());
        if (value == null) {
          throw new ReverieException(
              name + ": nothing is given for its input '" + entry.getKey() + "'",
              "it " + described());
        }
        requireFit(entry.getKey(), entry.getValue(), value);
        tensors.put(entry.getKey(), tensor(entry.getValue().type, value));
      }
      try (OrtSession.Result result = session.run(tensors)) {
        Map<String, OnnxValue> found = new LinkedHashMap<>();
        for (var output : result) {
          if (output.getValue() instanceof OnnxTensor tensor && numbers(tensor) != null) {
            found.put(output.getKey(), OnnxValue.of(numbers(tensor), tensor.getInfo().getShape()));
          }
        }
        return found;
      }
    } catch (OrtException e) {
      throw new ReverieException(name + ": " + message(e), "it " + described(), e);
    } finally {
      tensors.values().forEach(OnnxTensor::close);
    }
  }

  private void requireFit(String input, TensorInfo expected, OnnxValue value) {
    long[] shape = expected.getShape();
    boolean fits = shape.length == value.shape().length;
    for (int i = 0; fits && i < shape.length; i++) {
      fits = shape[i] < 0 || shape[i] == value.shape()[i];
    }
    boolean real =
        switch (expected.type) {
          case FLOAT, FLOAT16, DOUBLE -> true;
          default -> false;
        };
    if (!fits || !real && !value.whole()) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "%s: its input '%s' is %s, but %s%s came",
              name,
              input,
              described(expected),
              value.whole() ? "whole numbers " : "FLOAT",
              value.shown()),
          fits
              ? "give tokens or a mask to inputs of whole numbers, images to others"
              : "change size, crop, layout or length of what is given to it");
    }
  }

  private OnnxTensor tensor(OnnxJavaType type, OnnxValue value) throws OrtException {
    OrtEnvironment environment = OnnxLibrary.environment();
    float[] data = value.data();
    long[] shape = value.shape();
    return switch (type) {
      case FLOAT -> OnnxTensor.createTensor(environment, FloatBuffer.wrap(data), shape);
      case INT64 -> {
        LongBuffer numbers = LongBuffer.allocate(data.length);
        for (float number : data) {
          numbers.put((long) number);
        }
        yield OnnxTensor.createTensor(environment, numbers.flip(), shape);
      }
      case INT32 -> {
        IntBuffer numbers = IntBuffer.allocate(data.length);
        for (float number : data) {
          numbers.put((int) number);
        }
        yield OnnxTensor.createTensor(environment, numbers.flip(), shape);
      }
      case FLOAT16 -> {
        ByteBuffer numbers =
            ByteBuffer.allocateDirect(2 * data.length).order(ByteOrder.nativeOrder());
        for (float number : data) {
          numbers.putShort(Float.floatToFloat16(number));
        }
        yield OnnxTensor.createTensor(environment, numbers.flip(), shape, OnnxJavaType.FLOAT16);
      }
      case DOUBLE, INT8, INT16, UINT8, BOOL, STRING, BFLOAT16, UNKNOWN ->
          throw new ReverieException(
              name + ": its inputs of " + type + " cannot be given",
              "export it with inputs of float32, float16, int64 or int32");
    };
  }

  /** Null for what is no number. */
  private static float[] numbers(OnnxTensor tensor) {
    return switch (tensor.getInfo().type) {
      case FLOAT, FLOAT16, BFLOAT16 -> array(tensor.getFloatBuffer());
      case DOUBLE -> {
        double[] all = new double[(int) tensor.getInfo().getNumElements()];
        tensor.getDoubleBuffer().get(all);
        float[] numbers = new float[all.length];
        for (int i = 0; i < all.length; i++) {
          numbers[i] = (float) all[i];
        }
        yield numbers;
      }
      default -> null;
    };
  }

  private static float[] array(FloatBuffer buffer) {
    float[] numbers = new float[buffer.remaining()];
    buffer.get(numbers);
    return numbers;
  }

  private static String message(OrtException error) {
    return String.valueOf(error.getMessage()).lines().findFirst().orElse("");
  }

  @Override
  public void close() {
    try {
      session.close();
    } catch (OrtException e) {
      throw new ReverieException(name + ": cannot be closed: " + message(e));
    }
  }
}
