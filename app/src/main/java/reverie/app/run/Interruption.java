// SPDX-License-Identifier: Apache-2.0
package reverie.app.run;

import java.io.PrintStream;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BooleanSupplier;

/**
 * Turns Ctrl-C (and a polite kill) into a request that the work looks at between two steps.
 *
 * <p>The first signal only asks: the current step is finished, a checkpoint written and the way to
 * resume said. The second ends the process at once with exit code 130; nothing is lost but the work
 * since the last checkpoint, for files are replaced atomically. After {@link #close} signals do
 * again what they did before.
 *
 * <p>The JDK offers signals only in {@code sun.misc}, which the compiler warns of without a way to
 * say otherwise, so they are reached by reflection. Where they are missing, Ctrl-C simply ends the
 * process.
 */
public final class Interruption implements AutoCloseable, BooleanSupplier {
  private static final List<String> SIGNALS = List.of("INT", "TERM");

  /** What a run throws when it stopped because it was asked to. */
  public static final class Stopped extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /**
     * A run that stopped in good order.
     *
     * @param message what was saved and how to go on
     */
    public Stopped(String message) {
      super(message);
    }
  }

  private record Handler(Object signal, Object previous) {}

  private final AtomicBoolean requested = new AtomicBoolean();
  private final List<Handler> handlers = new ArrayList<>();
  private final PrintStream console;
  private final Runnable secondSignal;

  Interruption(PrintStream console, Runnable secondSignal) {
    this.console = console;
    this.secondSignal = secondSignal;
  }

  /**
   * Begins to listen.
   *
   * @param console where the request is acknowledged
   * @return what the work asks; close it when the work is over
   */
  public static Interruption listen(PrintStream console) {
    Interruption interruption = new Interruption(console, () -> Runtime.getRuntime().halt(130));
    interruption.install();
    return interruption;
  }

  /**
   * Whether the user asked to stop.
   *
   * @return true from the first signal on
   */
  public boolean requested() {
    return requested.get();
  }

  @Override
  public boolean getAsBoolean() {
    return requested();
  }

  /** What each signal does. */
  void signalled() {
    if (requested.compareAndSet(false, true)) {
      console.println();
      console.println(
          "Stopping after this step and a checkpoint. Press Ctrl-C again to stop at once.");
    } else {
      secondSignal.run();
    }
  }

  private void install() {
    try {
      Class<?> signalClass = Class.forName("sun.misc.Signal");
      Class<?> handlerClass = Class.forName("sun.misc.SignalHandler");
      Method handle = signalClass.getMethod("handle", signalClass, handlerClass);
      Object handler =
          Proxy.newProxyInstance(
              Interruption.class.getClassLoader(),
              new Class<?>[] {handlerClass},
              (proxy, method, arguments) ->
                  switch (method.getName()) {
                    case "handle" -> {
                      signalled();
                      yield null;
                    }
                    case "hashCode" -> System.identityHashCode(proxy);
                    case "equals" -> proxy == arguments[0];
                    default -> "Interruption";
                  });
      for (String name : SIGNALS) {
        Object signal = signalClass.getConstructor(String.class).newInstance(name);
        handlers.add(new Handler(signal, handle.invoke(null, signal, handler)));
      }
    } catch (ReflectiveOperationException e) {
      // No signals on this JVM: Ctrl-C ends the process, and the last checkpoint is what remains.
    }
  }

  @Override
  public void close() {
    try {
      for (Handler handler : handlers) {
        Class<?> signalClass = handler.signal().getClass();
        Class<?> handlerClass = Class.forName("sun.misc.SignalHandler");
        signalClass
            .getMethod("handle", signalClass, handlerClass)
            .invoke(null, handler.signal(), handler.previous());
      }
    } catch (ReflectiveOperationException e) {
      // The process is about to end anyway; the handler that stays is harmless.
    }
    handlers.clear();
  }
}
