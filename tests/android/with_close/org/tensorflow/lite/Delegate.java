package org.tensorflow.lite;

import java.io.Closeable;

/** Stands in for LiteRT's interface. */
public interface Delegate extends Closeable {
  long getNativeHandle();

  @Override
  default void close() {}
}
