// SPDX-License-Identifier: Apache-2.0
package reverie.spark;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;
import reverie.autograd.nn.Parameter;
import reverie.rl.Policy;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * The trained weights at some time, broadcast in pieces: nobody has to hold more than one of them
 * beside the weights themselves, and Spark moves to disk what its memory does not hold.
 *
 * @param version different for different weights of a fleet
 * @param pieceBytes that a piece has at most
 */
record Weights(long version, int pieceBytes, List<Broadcast<byte[]>> pieces)
    implements Serializable {
  static final int PIECE_BYTES = 32 << 20;

  /** Broadcasts those that a policy has. */
  static Weights of(Policy policy, JavaSparkContext spark, long version, int pieceBytes) {
    try (Scope _ = Scope.open("weights")) {
      return new Weights(
          version,
          pieceBytes,
          parts(policy, pieceBytes).stream().map(part -> spark.broadcast(Bytes.of(part))).toList());
    }
  }

  /** Whether a policy has these. */
  boolean areThoseOf(Policy policy) {
    try (Scope _ = Scope.open("weights")) {
      List<List<Tensor>> parts = parts(policy, pieceBytes);
      return IntStream.range(0, parts.size())
          .allMatch(i -> Arrays.equals(pieces.get(i).value(), Bytes.of(parts.get(i))));
    }
  }

  /** Gives them to a policy. */
  void copyTo(Policy policy) {
    try (Scope _ = Scope.open("weights")) {
      List<List<Tensor>> parts = parts(policy, pieceBytes);
      for (int i = 0; i < parts.size(); i++) {
        Bytes.assign(parts.get(i), pieces.get(i).value());
      }
    }
  }

  /** Nobody needs them any more. */
  void destroy() {
    pieces.forEach(Broadcast::destroy);
  }

  /** Views of the weights that make up each piece: parameters in a row, large ones cut. */
  private static List<List<Tensor>> parts(Policy policy, int pieceBytes) {
    List<List<Tensor>> parts = new ArrayList<>();
    long room = 0;
    for (Parameter parameter : policy.parameters().trainable()) {
      int size = Math.toIntExact(parameter.shape().size());
      Tensor all = parameter.value().reshape(size);
      int most = pieceBytes / all.dtype().bytes();
      for (int from = 0, to; from < size; from = to) {
        to = (int) Math.min(size, (long) from + most);
        Tensor part = all.slice(0, from, to);
        if (room < Bytes.size(part)) {
          parts.add(new ArrayList<>());
          room = pieceBytes;
        }
        parts.getLast().add(part);
        room -= Bytes.size(part);
      }
    }
    return parts;
  }
}
