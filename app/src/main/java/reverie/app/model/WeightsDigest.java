// SPDX-License-Identifier: Apache-2.0
package reverie.app.model;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import reverie.app.files.AtomicFile;
import reverie.autograd.nn.Parameter;
import reverie.autograd.nn.Parameters;
import reverie.tensor.Scope;
import reverie.tensor.io.Safetensors;

/**
 * What tells weights from others, read piece by piece: a single weight of Stable Diffusion has 118
 * MB.
 */
final class WeightsDigest {
  private final MessageDigest digest = sha256();

  private WeightsDigest() {}

  /** Of names and values; what is held in 16 bits is as its values in float32. */
  static String ofParameters(List<Parameters> parts) {
    WeightsDigest whole = new WeightsDigest();
    parts.forEach(whole::add);
    return whole.text();
  }

  /** Of the bytes of files. */
  static String ofFiles(List<Path> files) {
    WeightsDigest whole = new WeightsDigest();
    files.forEach(whole::add);
    return whole.text();
  }

  private void add(Parameters parameters) {
    for (Parameter p : parameters.all()) {
      digest.update(p.name().getBytes(StandardCharsets.UTF_8));
      try (Scope _ = Scope.open("digest")) {
        Safetensors.Entry.of(p.read()).values().forEachPiece(piece -> digest.update(bytes(piece)));
      }
    }
    // What is held in 16 bits was widened.
    parameters.device().backend().trim();
  }

  private static ByteBuffer bytes(float... values) {
    ByteBuffer bytes = ByteBuffer.allocate(Float.BYTES * values.length);
    bytes.asFloatBuffer().put(values);
    return bytes;
  }

  private void add(Path file) {
    byte[] bytes = new byte[1 << 20];
    try (InputStream in = Files.newInputStream(file)) {
      for (int count = in.read(bytes); count >= 0; count = in.read(bytes)) {
        digest.update(bytes, 0, count);
      }
    } catch (IOException e) {
      throw AtomicFile.readFailure(file, e);
    }
  }

  private String text() {
    return "sha256 " + HexFormat.of().formatHex(digest.digest());
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every Java has SHA-256", e);
    }
  }
}
