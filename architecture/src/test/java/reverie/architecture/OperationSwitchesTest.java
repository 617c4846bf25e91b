// SPDX-License-Identifier: Apache-2.0
package reverie.architecture;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.source.tree.BindingPatternTree;
import com.sun.source.tree.CaseLabelTree;
import com.sun.source.tree.CaseTree;
import com.sun.source.tree.CompilationUnitTree;
import com.sun.source.tree.DeconstructionPatternTree;
import com.sun.source.tree.DefaultCaseLabelTree;
import com.sun.source.tree.PatternCaseLabelTree;
import com.sun.source.tree.PatternTree;
import com.sun.source.tree.SwitchExpressionTree;
import com.sun.source.tree.SwitchTree;
import com.sun.source.tree.Tree;
import com.sun.source.util.JavacTask;
import com.sun.source.util.SourcePositions;
import com.sun.source.util.TreeScanner;
import com.sun.source.util.Trees;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import reverie.tensor.op.Op;

/**
 * What an operation is or needs is said by its record or by switches that the compiler completes.
 */
class OperationSwitchesTest {
  private static Set<String> operations() {
    Set<String> names = new HashSet<>();
    add(Op.class, names);
    return names;
  }

  private static void add(Class<?> type, Set<String> names) {
    names.add(type.getSimpleName());
    if (type.isSealed()) {
      for (Class<?> permitted : type.getPermittedSubclasses()) {
        add(permitted, names);
      }
    }
  }

  /** Finds switches over operations that have a default branch. */
  private static final class Defaults extends TreeScanner<Void, Void> {
    private final Set<String> operations;
    private final List<Long> lines = new ArrayList<>();
    private CompilationUnitTree unit;
    private SourcePositions positions;

    Defaults(Set<String> operations) {
      this.operations = operations;
    }

    static List<Long> in(String name, String source, Set<String> operations) {
      Defaults defaults = new Defaults(operations);
      JavaFileObject file =
          new SimpleJavaFileObject(URI.create("memory:///" + name), JavaFileObject.Kind.SOURCE) {
            @Override
            public CharSequence getCharContent(boolean ignoreEncodingErrors) {
              return source;
            }
          };
      JavacTask task =
          (JavacTask)
              ToolProvider.getSystemJavaCompiler()
                  .getTask(null, null, null, List.of("-proc:none"), null, List.of(file));
      defaults.positions = Trees.instance(task).getSourcePositions();
      try {
        for (CompilationUnitTree unit : task.parse()) {
          defaults.unit = unit;
          defaults.scan(unit, null);
        }
      } catch (IOException e) {
        throw new AssertionError(e);
      }
      return defaults.lines;
    }

    @Override
    public Void visitSwitch(SwitchTree node, Void unused) {
      look(node, node.getCases());
      return super.visitSwitch(node, unused);
    }

    @Override
    public Void visitSwitchExpression(SwitchExpressionTree node, Void unused) {
      look(node, node.getCases());
      return super.visitSwitchExpression(node, unused);
    }

    private void look(Tree node, List<? extends CaseTree> cases) {
      boolean overOperations = false;
      boolean defaults = false;
      for (CaseTree branch : cases) {
        for (CaseLabelTree label : branch.getLabels()) {
          defaults |= label instanceof DefaultCaseLabelTree;
          overOperations |=
              label instanceof PatternCaseLabelTree pattern
                  && operations.contains(type(pattern.getPattern()));
        }
      }
      if (overOperations && defaults) {
        lines.add(unit.getLineMap().getLineNumber(positions.getStartPosition(unit, node)));
      }
    }

    private static String type(PatternTree pattern) {
      Tree type =
          switch (pattern) {
            case BindingPatternTree binding -> binding.getVariable().getType();
            case DeconstructionPatternTree record -> record.getDeconstructor();
            default -> pattern;
          };
      String name = type.toString();
      return name.substring(name.lastIndexOf('.') + 1);
    }
  }

  @Test
  void noDefaultBranchDecidesAboutOperations() {
    Set<String> operations = operations();
    List<String> found = new ArrayList<>();
    for (Path source : Project.sources()) {
      for (long line :
          Defaults.in(source.getFileName().toString(), Project.read(source), operations)) {
        found.add(Project.ROOT.relativize(source) + ":" + line);
      }
    }
    assertEquals(List.of(), found);
  }

  @Test
  void aDefaultBranchIsFound() {
    String source =
        """
        class Some {
          int of(Object op) {
            return switch (op) {
              case Fill(double value, var shape) -> 1;
              default -> 0;
            };
          }
        }
        """;
    assertEquals(1, Defaults.in("Some.java", source, operations()).size());
    assertTrue(Defaults.in("Some.java", source, Set.of("Other")).isEmpty());
  }
}
