// SPDX-License-Identifier: Apache-2.0
package reverie.app.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.zip.CRC32;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.tensor.ReverieException;

class ImageFolderTest {
  @TempDir Path folder;

  @Test
  void takesNamesForPromptsWithoutMetadata() throws IOException {
    draw("red_dot.png", 2, 0xFFFF0000);
    draw("glass.png", 2, 0x00123456);
    ImageSet set = ImageFolder.read(folder);
    assertEquals(List.of("glass", "red dot"), set.prompts());
    assertArrayEquals(new float[] {1, 1, 1}, Arrays.copyOf(set.items().get(0).pixels(), 3));
    assertArrayEquals(new float[] {1, -1, -1}, Arrays.copyOf(set.items().get(1).pixels(), 3));
    assertEquals(2, set.height());
  }

  @Test
  void readsCaptionsInTheirOrder() throws IOException {
    draw("b.png", 2, 0xFF000000);
    draw("a.png", 2, 0xFFFFFFFF);
    metadata(
        "{\"file_name\": \"b.png\", \"text\": \"night, café\"}\n\n{\"file_name\": \"a.png\", \"text\": \"day\"}");
    ImageSet set = ImageFolder.read(folder);
    assertEquals(List.of("night, café", "day"), set.prompts());
    assertEquals(-1, set.items().getFirst().pixels()[0]);
  }

  @Test
  void readsCaptionsFromCsv() throws IOException {
    draw("b.PNG", 2, 0xFF000000);
    draw("a.png", 2, 0xFFFFFFFF);
    Files.writeString(
        folder.resolve("metadata.csv"),
        "\uFEFFfile_name,prompt\r\nb.PNG,\"night, \"\"café\"\"\"\r\na.png,day\r\n");
    ImageSet set = ImageFolder.read(folder);
    assertEquals(List.of("night, \"café\"", "day"), set.prompts());
    Files.writeString(folder.resolve("metadata.csv"), "file_name,text\nb.PNG\n");
    assertTrue(message().contains("line 2 of '" + folder.resolve("metadata.csv")), this::message);
  }

  @Test
  void takesImagesByAnyOfTheirEndings() throws IOException {
    draw("one.PNG", 2, 0xFF000000);
    BufferedImage image = new BufferedImage(2, 2, BufferedImage.TYPE_INT_RGB);
    ImageIO.write(image, "jpeg", folder.resolve("two.jpg").toFile());
    ImageIO.write(image, "jpeg", folder.resolve("three.JPEG").toFile());
    Files.writeString(folder.resolve("notes.txt"), "no image");
    assertEquals(List.of("one", "three", "two"), ImageFolder.read(folder).prompts());
  }

  @Test
  void anImageThatClaimsTooManyPixelsIsNotDecoded() throws IOException {
    draw("bomb.png", 2, 0);
    byte[] png = Files.readAllBytes(folder.resolve("bomb.png"));
    ByteBuffer.wrap(png).putInt(16, 27_000).putInt(20, 27_001);
    CRC32 sum = new CRC32();
    sum.update(png, 12, 17);
    ByteBuffer.wrap(png).putInt(29, (int) sum.getValue());
    Files.write(folder.resolve("bomb.png"), png);
    assertTrue(message().contains("bomb.png' has 27000×27001 pixels"), this::message);
  }

  @Test
  void saysWhatIsWrong() throws IOException {
    assertTrue(message().contains("has no images"));
    draw("a.png", 2, 0);
    metadata("{\"file_name\": \"a.png\"}");
    assertTrue(message().contains("line 1"));
    metadata("{\"file_name\": \"a.png\", \"text\": \"x\"}\n{\"file_name\": ");
    assertTrue(message().contains("line 2"));
    metadata("{\"file_name\": \"gone.png\", \"text\": \"x\"}");
    assertTrue(message().contains("gone.png' does not exist"));
    Files.writeString(folder.resolve("bad.png"), "no image");
    metadata("{\"file_name\": \"bad.png\", \"text\": \"x\"}");
    assertTrue(message().contains("bad.png' is not an image"));
    draw("big.png", 3, 0);
    metadata(
        "{\"file_name\": \"a.png\", \"text\": \"x\"}\n{\"file_name\": \"big.png\", \"text\": \"y\"}");
    assertTrue(message().contains("'big.png' is 3×3, but the first image is 2×2"));
  }

  private String message() {
    return assertThrows(ReverieException.class, () -> ImageFolder.read(folder)).getMessage();
  }

  private void metadata(String lines) throws IOException {
    Files.writeString(folder.resolve("metadata.jsonl"), lines);
  }

  private void draw(String name, int size, int argb) throws IOException {
    BufferedImage image = new BufferedImage(size, size, BufferedImage.TYPE_INT_ARGB);
    for (int i = 0; i < size * size; i++) {
      image.setRGB(i % size, i / size, argb);
    }
    ImageIO.write(image, "png", folder.resolve(name).toFile());
  }
}
