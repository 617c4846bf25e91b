// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static jcuda.jcudnn.cudnnStatus.CUDNN_STATUS_SUCCESS;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import reverie.tensor.cuda.driver.Symbols.Function;

/**
 * The C functions of cuDNN's backend, by which graphs of operations are described. Descriptors are
 * made of attributes, which are named and typed by the numbers of {@code cudnn_graph.h} (cuDNN 9;
 * in cuDNN 8 {@code cudnn_backend.h}).
 */
final class CudnnBackend implements AutoCloseable {
  private static final int TYPE_HANDLE = 0;
  private static final int TYPE_DATA_TYPE = 1;
  private static final int TYPE_BOOLEAN = 2;
  private static final int TYPE_INT64 = 3;
  private static final int TYPE_FLOAT = 4;
  private static final int TYPE_VOID_PTR = 6;
  private static final int TYPE_HEUR_MODE = 8;
  private static final int TYPE_NUMERICAL_NOTE = 11;
  private static final int TYPE_BACKEND_DESCRIPTOR = 15;

  private static final int ENGINE_DESCRIPTOR = 2;
  private static final int ENGINECFG_DESCRIPTOR = 3;
  private static final int ENGINEHEUR_DESCRIPTOR = 4;
  private static final int EXECUTION_PLAN_DESCRIPTOR = 5;
  private static final int OPERATIONGRAPH_DESCRIPTOR = 15;
  private static final int VARIANT_PACK_DESCRIPTOR = 16;

  private static final int ENGINEHEUR_MODE = 200;
  private static final int ENGINEHEUR_OPERATION_GRAPH = 201;
  private static final int ENGINEHEUR_RESULTS = 202;
  private static final int ENGINECFG_ENGINE = 300;
  private static final int EXECUTION_PLAN_HANDLE = 400;
  private static final int EXECUTION_PLAN_ENGINE_CONFIG = 401;
  private static final int EXECUTION_PLAN_WORKSPACE_SIZE = 402;
  private static final int OPERATIONGRAPH_HANDLE = 800;
  private static final int OPERATIONGRAPH_OPS = 801;
  private static final int VARIANT_PACK_UNIQUE_IDS = 1000;
  private static final int VARIANT_PACK_DATA_POINTERS = 1001;
  private static final int VARIANT_PACK_WORKSPACE = 1003;
  private static final int ENGINE_NUMERICAL_NOTE = 1303;

  private static final int HEUR_MODE_A = 3;

  /** What cuDNN notes of an engine. */
  static final int NOTE_DOWN_CONVERT_INPUTS = 1;

  static final int NOTE_REDUCED_PRECISION_REDUCTION = 2;
  static final int NOTE_NONDETERMINISTIC = 4;
  private static final int NOTES = 10;

  /** Suggestions of the heuristics that are looked at. */
  private static final int SUGGESTIONS = 16;

  private final Function create = Function.of("cudnnBackendCreateDescriptor", JAVA_INT, ADDRESS);
  private final Function destroy = Function.of("cudnnBackendDestroyDescriptor", JAVA_LONG);
  private final Function complete = Function.of("cudnnBackendFinalize", JAVA_LONG);
  private final Function set =
      Function.of("cudnnBackendSetAttribute", JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_LONG, ADDRESS);
  private final Function get =
      Function.of(
          "cudnnBackendGetAttribute", JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_LONG, ADDRESS, ADDRESS);
  private final Function execute =
      Function.of("cudnnBackendExecute", JAVA_LONG, JAVA_LONG, JAVA_LONG);

  private final Arena arena = Arena.ofShared();
  private final MemorySegment cell = arena.allocate(JAVA_LONG);
  private final MemorySegment count = arena.allocate(JAVA_LONG);
  private final Deque<Long> made = new ArrayDeque<>();
  private final long handle;

  /** What cuDNN does not do, with its status. */
  static final class Refused extends Exception {
    private static final long serialVersionUID = 1;

    Refused(String what, int status) {
      super(what + ": " + status);
    }
  }

  /** A value of an attribute. */
  record Attribute(int name, int type, long count, Object values) {
    static Attribute ints(int name, int type, int... values) {
      return new Attribute(name, type, values.length, values);
    }

    static Attribute dataType(int name, int type) {
      return ints(name, TYPE_DATA_TYPE, type);
    }

    static Attribute longs(int name, long... values) {
      return new Attribute(name, TYPE_INT64, values.length, values);
    }

    static Attribute one(int name, float value) {
      return new Attribute(name, TYPE_FLOAT, 1, new float[] {value});
    }

    static Attribute isTrue(int name) {
      return new Attribute(name, TYPE_BOOLEAN, 1, new byte[] {1});
    }

    static Attribute descriptors(int name, long... descriptors) {
      return new Attribute(name, TYPE_BACKEND_DESCRIPTOR, descriptors.length, descriptors);
    }

    private static Attribute addresses(int name, int type, long... values) {
      return new Attribute(name, type, values.length, values);
    }

    private MemorySegment in(Arena arena) {
      return switch (values) {
        case int[] ints -> arena.allocateFrom(JAVA_INT, ints);
        case long[] longs -> arena.allocateFrom(JAVA_LONG, longs);
        case float[] floats -> arena.allocateFrom(JAVA_FLOAT, floats);
        case byte[] bytes -> arena.allocateFrom(JAVA_BYTE, bytes);
        default -> throw new IllegalStateException("no values of an attribute: " + values);
      };
    }
  }

  /**
   * A graph that can be run.
   *
   * @param workspaceBytes of working memory
   */
  record Plan(long descriptor, long workspaceBytes) {}

  /** Whether the loaded cuDNN has these functions. */
  static boolean isThere() {
    return Symbols.has("cudnnBackendExecute");
  }

  /** For work of a handle of cuDNN's, by its address. */
  CudnnBackend(long handle) {
    this.handle = handle;
  }

  /** The address of a number on the host, which lasts until this is closed. */
  long constant(float value) {
    return arena.allocateFrom(JAVA_FLOAT, value).address();
  }

  private static void check(String what, int status) throws Refused {
    if (status != CUDNN_STATUS_SUCCESS) {
      throw new Refused(what, status);
    }
  }

  private long create(int type) throws Refused {
    check("making descriptor " + type, create.call(type, cell));
    long descriptor = cell.get(JAVA_LONG, 0);
    made.push(descriptor);
    return descriptor;
  }

  /** A descriptor of these attributes, which lasts until this is closed. */
  long describe(int type, Attribute... attributes) throws Refused {
    long descriptor = create(type);
    try (Arena values = Arena.ofConfined()) {
      for (Attribute a : attributes) {
        int status = set.call(descriptor, a.name, a.type, a.count, a.in(values));
        check("setting attribute " + a.name, status);
      }
    }
    check("descriptor " + type, complete.call(descriptor));
    return descriptor;
  }

  /**
   * The first plan for a graph that the heuristics suggest and that there is.
   *
   * @param avoided notes of engines that are not taken
   * @param maxWorkspace bytes
   */
  Plan plan(long[] operations, Set<Integer> avoided, long maxWorkspace) throws Refused {
    long graph =
        describe(
            OPERATIONGRAPH_DESCRIPTOR,
            Attribute.descriptors(OPERATIONGRAPH_OPS, operations),
            Attribute.addresses(OPERATIONGRAPH_HANDLE, TYPE_HANDLE, handle));
    long heuristics =
        describe(
            ENGINEHEUR_DESCRIPTOR,
            Attribute.descriptors(ENGINEHEUR_OPERATION_GRAPH, graph),
            Attribute.ints(ENGINEHEUR_MODE, TYPE_HEUR_MODE, HEUR_MODE_A));
    for (long configuration : suggestions(heuristics)) {
      if (notes(configuration).stream().noneMatch(avoided::contains)) {
        try {
          Plan plan = plan(configuration);
          if (plan.workspaceBytes <= maxWorkspace) {
            return plan;
          }
        } catch (Refused next) {
          continue;
        }
      }
    }
    throw new Refused("no engine fits", CUDNN_STATUS_SUCCESS);
  }

  private long[] suggestions(long heuristics) throws Refused {
    long[] configurations = new long[SUGGESTIONS];
    for (int i = 0; i < SUGGESTIONS; i++) {
      configurations[i] = create(ENGINECFG_DESCRIPTOR);
    }
    MemorySegment list = Arena.ofAuto().allocateFrom(JAVA_LONG, configurations);
    int found = get(heuristics, ENGINEHEUR_RESULTS, TYPE_BACKEND_DESCRIPTOR, SUGGESTIONS, list);
    return Arrays.copyOf(list.toArray(JAVA_LONG), found);
  }

  private Set<Integer> notes(long configuration) throws Refused {
    long engine = create(ENGINE_DESCRIPTOR);
    cell.set(JAVA_LONG, 0, engine);
    get(configuration, ENGINECFG_ENGINE, TYPE_BACKEND_DESCRIPTOR, 1, cell);
    MemorySegment notes = Arena.ofAuto().allocate(JAVA_INT, NOTES);
    int found = get(engine, ENGINE_NUMERICAL_NOTE, TYPE_NUMERICAL_NOTE, NOTES, notes);
    return IntStream.range(0, found)
        .mapToObj(i -> notes.getAtIndex(JAVA_INT, i))
        .collect(Collectors.toSet());
  }

  private Plan plan(long configuration) throws Refused {
    long plan =
        describe(
            EXECUTION_PLAN_DESCRIPTOR,
            Attribute.addresses(EXECUTION_PLAN_HANDLE, TYPE_HANDLE, handle),
            Attribute.descriptors(EXECUTION_PLAN_ENGINE_CONFIG, configuration));
    get(plan, EXECUTION_PLAN_WORKSPACE_SIZE, TYPE_INT64, 1, cell);
    return new Plan(plan, cell.get(JAVA_LONG, 0));
  }

  /** Reads values of an attribute: how many there are, at most those asked for. */
  private int get(long descriptor, int name, int type, int asked, MemorySegment to) throws Refused {
    count.set(JAVA_LONG, 0, 0);
    check("attribute " + name, get.call(descriptor, name, type, (long) asked, count, to));
    return (int) Math.min(asked, count.get(JAVA_LONG, 0));
  }

  /**
   * Runs a plan.
   *
   * @param ids of the tensors of its graph
   * @param addresses where these tensors are
   * @param workspace working memory
   */
  void run(Plan plan, long[] ids, long[] addresses, long workspace) throws Refused {
    long pack =
        describe(
            VARIANT_PACK_DESCRIPTOR,
            Attribute.longs(VARIANT_PACK_UNIQUE_IDS, ids),
            Attribute.addresses(VARIANT_PACK_DATA_POINTERS, TYPE_VOID_PTR, addresses),
            Attribute.addresses(VARIANT_PACK_WORKSPACE, TYPE_VOID_PTR, workspace));
    try {
      check("running a graph", execute.call(handle, plan.descriptor, pack));
    } finally {
      destroy.call(made.pop());
    }
  }

  @Override
  public void close() {
    while (!made.isEmpty()) {
      destroy.call(made.pop());
    }
    arena.close();
  }
}
