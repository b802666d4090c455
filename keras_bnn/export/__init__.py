"""From a trained Keras model to a 1-bit .tflite file, with every layer's fate told.

    bake ──► rewrite ──► convert ──► fates

`bake` traces the model with binary kernels, `rules.rewrite` brings the graph into the forms that
LCE makes 1-bit, `convert` takes it through LCE, and `fates` reads in the written file what became
of each layer. `verify` compares the file with the baked model, sign by sign.
"""

from keras_bnn.export.fates import LayerFate
from keras_bnn.export.to_tflite import Exported, ExportError, to_tflite
from keras_bnn.export.verify import Verification, verify

__all__ = ["ExportError", "Exported", "LayerFate", "Verification", "to_tflite", "verify"]
