// SPDX-License-Identifier: Apache-2.0
package reverie.tensor;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.stream.Collectors;

/**
 * The only lifetime of tensors: what is made while a scope is open dies when it closes, unless
 * kept.
 *
 * <pre>{@code
 * Tensor kept;
 * try (Scope scope = Scope.open("step")) {
 *   kept = scope.keep(x.matmul(w).silu());
 * }
 * }</pre>
 *
 * Scopes of a thread nest. A {@link #detached} scope stands outside the nest and holds what lives
 * long: parameters, optimizer state.
 */
public final class Scope implements AutoCloseable {
  private static final ThreadLocal<Deque<Scope>> OPEN = ThreadLocal.withInitial(ArrayDeque::new);
  private static final StackWalker WALKER = StackWalker.getInstance();

  private final String name;
  private final Scope parent;
  private final boolean nested;
  private final List<Storage> storages = new ArrayList<>();
  private boolean closed;

  private Scope(String name, Scope parent, boolean nested) {
    this.name = name;
    this.parent = parent;
    this.nested = nested;
  }

  /** Opens a scope inside the innermost one of this thread; close it on the same thread. */
  public static Scope open(String name) {
    Deque<Scope> open = OPEN.get();
    Scope scope = new Scope(name, open.peek(), true);
    open.push(scope);
    return scope;
  }

  /**
   * A scope that nothing falls into by itself: it holds what is {@linkplain #adopt adopted}, until
   * closed.
   */
  public static Scope detached(String name) {
    return new Scope(name, null, false);
  }

  /** The names of this thread's open scopes, the outermost first, for messages. */
  public static String path() {
    return OPEN.get().reversed().stream()
        .map(scope -> scope.name)
        .collect(Collectors.joining(" > "));
  }

  /** The innermost open scope of this thread. */
  static Scope current() {
    Scope scope = OPEN.get().peek();
    if (scope == null) {
      throw new ReverieException(
          "scope: a tensor was made while no scope is open on thread "
              + Thread.currentThread().getName(),
          "wrap the work in try (Scope scope = Scope.open(\"step\")) { … }");
    }
    return scope;
  }

  /**
   * Moves a tensor's memory to the enclosing scope, so that it outlives this one. A view of memory
   * that outlives this scope anyway, say of a parameter, stays where it is.
   */
  public Tensor keep(Tensor tensor) {
    if (parent == null) {
      throw new ReverieException(
          "scope: \"" + name + "\" has no enclosing scope to keep " + tensor.type() + " in",
          "open an outer scope, or adopt the tensor in a Scope.detached(…)");
    }
    for (Scope owner = tensor.storage().owner; owner != null; owner = owner.parent) {
      if (owner == this) {
        return parent.adopt(tensor);
      }
    }
    return tensor;
  }

  /** Moves a tensor's memory to this scope, whichever scope it belonged to. */
  public Tensor adopt(Tensor tensor) {
    if (closed) {
      throw new ReverieException("scope: \"" + name + "\" is closed and can adopt nothing");
    }
    tensor.checkLive();
    adopt(tensor.storage());
    return tensor;
  }

  /** Moves memory to this scope, whichever scope it belonged to. */
  public void adopt(Storage storage) {
    if (storage.owner != this) {
      storage.owner = this;
      storages.add(storage);
    }
  }

  /**
   * Ends every tensor that still belongs to this scope; scopes opened inside must be closed before.
   */
  @Override
  public void close() {
    if (closed) {
      return;
    }
    if (nested) {
      Deque<Scope> open = OPEN.get();
      if (open.peek() != this) {
        throw new ReverieException(
            "scope: \""
                + name
                + "\" was closed while it is not the innermost of thread "
                + Thread.currentThread().getName(),
            "use try-with-resources");
      }
      open.pop();
    }
    closed = true;
    if (storages.isEmpty()) {
      return;
    }
    String how = "\"" + name + "\" was closed at " + caller();
    for (Storage storage : storages) {
      if (storage.owner == this) {
        storage.end(how);
      }
    }
    storages.clear();
  }

  private static String caller() {
    return WALKER.walk(frames ->
        frames
            .filter(f -> !f.getClassName().equals(Scope.class.getName()))
            .findFirst()
            .map(StackWalker.StackFrame::toString)
            .orElse("an unknown line"));
  }
}
