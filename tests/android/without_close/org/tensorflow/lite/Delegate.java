package org.tensorflow.lite;

/** Stands in for LiteRT's interface, as it was up to TensorFlow 2.4. */
public interface Delegate {
  long getNativeHandle();
}
