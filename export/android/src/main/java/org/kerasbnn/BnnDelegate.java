package org.kerasbnn;

import org.tensorflow.lite.Delegate;

/**
 * Runs the 1-bit operators of a .tflite file (LceQuantize, LceBconv2d, LceBMaxPool2d,
 * LceDequantize), which LiteRT alone does not know.
 *
 * <pre>{@code
 * try (BnnDelegate delegate = new BnnDelegate();
 *     InterpreterApi interpreter =
 *         InterpreterApi.create(model, new InterpreterApi.Options().addDelegate(delegate))) {
 *   interpreter.run(input, output);
 * }
 * }</pre>
 *
 * <p>Each interpreter takes a delegate of its own, which has to be closed after it: resources of a
 * try statement are, if the delegate comes first.
 */
public final class BnnDelegate implements Delegate, AutoCloseable {
  static {
    System.loadLibrary("keras_bnn");
  }

  private long handle;

  /**
   * @throws IllegalStateException if there is not enough memory, or an environment variable of the
   *     library has a value that it cannot have.
   */
  public BnnDelegate() {
    handle = create();
  }

  /** The native delegate, for LiteRT; it belongs to this object. */
  @Override
  public synchronized long getNativeHandle() {
    if (handle == 0) {
      throw new IllegalStateException("This BnnDelegate is closed: make a new one.");
    }
    return handle;
  }

  /** Frees the native delegate. The interpreter that uses it has to be closed before. */
  @Override
  public synchronized void close() {
    destroy(handle);
    handle = 0;
  }

  private static synchronized native long create();

  private static native void destroy(long handle);
}
