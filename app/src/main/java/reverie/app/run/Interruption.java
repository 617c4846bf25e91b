// SPDX-License-Identifier: Apache-2.0
package reverie.app.run;

import java.io.PrintStream;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BooleanSupplier;

/**
 * Turns Ctrl-C and SIGTERM into a request that the work checks between two steps.
 *
 * <p>The first signal only asks: the current step is finished, a checkpoint written and the way to
 * resume said. The second ends the process at once with exit code 130; so does the first kill where
 * the step takes longer than {@value #PATIENCE} seconds, as whoever sent it will not send another
 * that can be caught. Nothing is lost but the work since the last checkpoint, for files are
 * replaced atomically. After {@link #close} signals do again what they did before.
 *
 * <p>The JDK offers signals only in {@code sun.misc}, which the compiler warns of without a way to
 * say otherwise, so they are reached by reflection. Where they are missing, Ctrl-C simply ends the
 * process.
 */
public final class Interruption implements AutoCloseable, BooleanSupplier {
  private static final String KILL = "TERM";
  private static final List<String> SIGNALS = List.of("INT", KILL);

  /** Seconds that a step may still take after SIGTERM; process managers allow ten. */
  private static final int PATIENCE = 7;

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

  /** The exit code, as of a program that Ctrl-C ended. */
  private static final int INTERRUPTED = 130;

  private record Handler(Object signal, Object previous) {}

  private final AtomicBoolean requested = new AtomicBoolean();
  private final List<Handler> handlers = new ArrayList<>();
  private final PrintStream console;
  private final Runnable end;
  private final Duration patience;

  Interruption(PrintStream console, Duration patience, Runnable end) {
    this.console = console;
    this.patience = patience;
    this.end = end;
  }

  /**
   * Begins to listen.
   *
   * @param console where the request is acknowledged
   * @return what the work asks; close it when the work is over
   */
  public static Interruption listen(PrintStream console) {
    Interruption interruption =
        new Interruption(console, Duration.ofSeconds(PATIENCE), Interruption::exit);
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
  void signalled(String signal) {
    if (!requested.compareAndSet(false, true)) {
      end.run();
      return;
    }
    console.println();
    console.println(
        "Stopping after this step and a checkpoint. Press Ctrl-C again to stop at once.");
    if (signal.equals(KILL)) {
      Thread.ofPlatform().daemon().name("patience").start(this::endInTime);
    }
  }

  private void endInTime() {
    try {
      Thread.sleep(patience);
      console.println("This step takes long: stopping now. --resume goes on from the checkpoint.");
      end.run();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Ends the process with what it started, and at once where that takes long. */
  private static void exit() {
    Thread.ofPlatform()
        .daemon()
        .name("halt")
        .start(() -> {
          try {
            Thread.sleep(Duration.ofSeconds(2));
          } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
          }
          Runtime.getRuntime().halt(INTERRUPTED);
        });
    System.exit(INTERRUPTED);
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
                      signalled(arguments[0].toString().replaceFirst("^SIG", ""));
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
