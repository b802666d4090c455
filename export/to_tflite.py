"""Writes a trained Keras model as a 1-bit .tflite file: python to_tflite.py MODEL FILE.tflite."""

import sys

import keras_bnn as kb

if len(sys.argv) != 3:
    sys.exit(__doc__)
model = kb.load_model(sys.argv[1])
print(kb.export.to_tflite(model, sys.argv[2]))
print(kb.export.verify(model, sys.argv[2]))
