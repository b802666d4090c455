"""Runs a 1-bit file where nothing but keras-bnn is installed: at batch 1 and all samples at once.

python run_file.py FILE.tflite SAMPLES.npy OUTPUTS.npy
"""

import importlib.util
import sys

import numpy as np

import keras_bnn as kb

path, samples, outputs = sys.argv[1], np.load(sys.argv[2]), np.load(sys.argv[3])
if importlib.util.find_spec("tensorflow"):
    sys.exit("TensorFlow is installed here, so this proves nothing.")
interpreter = kb.runtime.Interpreter(path, num_threads=2)
if "keras-bnn" not in interpreter.engine:
    sys.exit(f"{path} ran on {interpreter.engine}, expected our own library.")
together = interpreter.predict(samples)
singly = np.concatenate([interpreter.predict(samples[i : i + 1]) for i in range(len(samples))])
# Their float operators are LiteRT's, which may add in another order at another batch.
for got in (together, singly):
    np.testing.assert_allclose(got, outputs, rtol=1e-4, atol=1e-4)
version = ".".join(map(str, sys.version_info[:3]))
print(f"Python {version}, NumPy {np.__version__}: {interpreter.engine}, batch 1 and {len(samples)}")
