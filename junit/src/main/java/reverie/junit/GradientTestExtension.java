// SPDX-License-Identifier: Apache-2.0
package reverie.junit;

import java.lang.reflect.Method;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.Extension;
import org.junit.jupiter.api.extension.ExtensionConfigurationException;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;
import org.junit.jupiter.api.extension.TestTemplateInvocationContext;
import org.junit.jupiter.api.extension.TestTemplateInvocationContextProvider;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Shape;
import reverie.tensor.Tensor;

/** Runs a {@link GradientTest} once for each of its lists of shapes. */
final class GradientTestExtension implements TestTemplateInvocationContextProvider {
  @Override
  public boolean supportsTestTemplate(ExtensionContext context) {
    return true;
  }

  @Override
  public Stream<TestTemplateInvocationContext> provideTestTemplateInvocationContexts(
      ExtensionContext context) {
    Method method = context.getRequiredTestMethod();
    GradientTest test = method.getAnnotation(GradientTest.class);
    long tensors = Arrays.stream(method.getParameterTypes()).filter(Tensor.class::equals).count();
    if (test.value().length == 0) {
      throw new ExtensionConfigurationException(
          method.getName() + ": expected at least one list of shapes, got none");
    }
    return Arrays.stream(test.value())
        .map(text -> {
          List<Shape> shapes = shapes(text);
          if (shapes.size() != tensors) {
            throw new ExtensionConfigurationException(
                method.getName()
                    + ": expected shapes of "
                    + tensors
                    + " tensors separated by commas, got \""
                    + text
                    + "\"");
          }
          return new Inputs(test, shapes);
        });
  }

  private static List<Shape> shapes(String text) {
    return Arrays.stream(text.split(",", -1))
        .map(String::strip)
        .map(GradientTestExtension::shape)
        .toList();
  }

  private static Shape shape(String text) {
    if (text.isEmpty()) {
      return Shape.of();
    }
    try {
      return Shape.of(Arrays.stream(text.split("x", -1)).mapToInt(Integer::parseInt).toArray());
    } catch (NumberFormatException | ReverieException e) {
      throw new ExtensionConfigurationException(
          "expected a shape such as 4x3, got \"" + text + "\"", e);
    }
  }

  /** One run: its name, its tensors, and the scope in which they live. */
  private record Inputs(GradientTest test, List<Shape> shapes)
      implements TestTemplateInvocationContext {
    @Override
    public String getDisplayName(int invocation) {
      return shapes.toString();
    }

    @Override
    public List<Extension> getAdditionalExtensions() {
      return List.of(new Lifetime(), new Values(test, shapes));
    }
  }

  private static final class Lifetime implements BeforeEachCallback, AfterEachCallback {
    private Scope scope;

    @Override
    public void beforeEach(ExtensionContext context) {
      scope = Scope.open(context.getDisplayName());
    }

    @Override
    public void afterEach(ExtensionContext context) {
      scope.close();
    }
  }

  private record Values(GradientTest test, List<Shape> shapes) implements ParameterResolver {
    @Override
    public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
      return parameter.getParameter().getType() == Tensor.class;
    }

    @Override
    public Object resolveParameter(ParameterContext parameter, ExtensionContext context) {
      Class<?>[] types = parameter.getDeclaringExecutable().getParameterTypes();
      int index =
          (int) Arrays.stream(types, 0, parameter.getIndex()).filter(Tensor.class::equals).count();
      Shape shape = shapes.get(index);
      Rng rng = Rng.of(test.seed()).fork(index);
      double[] values =
          IntStream.range(0, Math.toIntExact(shape.size()))
              .mapToDouble(i -> test.min() + (test.max() - test.min()) * rng.uniform(i))
              .toArray();
      return Device.reference().tensor(values, shape.dims());
    }
  }
}
