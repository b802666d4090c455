"""What binary convolutions share: padding with +1, XNOR-Net's K, the convolution itself."""

from keras_bnn._keras import tf
from keras_bnn.layers import scales
from keras_bnn.layers.binary_layer import BinaryLayer, removes_magnitudes
from keras_bnn.layers.products import convolve, padded


class BinaryConv(BinaryLayer):
    """Mixin in front of one of larq's quantized convolutions.

    Args (beside those of `BinaryLayer` and of the Keras layer):
        pad_values: What `padding="same"` adds around the quantized input. The default 1.0 keeps
            it binary; 0.0 is a third value, which costs 1-bit kernels extra work.
            `padding="causal"` takes zeros only.
        input_scale: XNOR-Net's K: multiplies each output position by the mean of |x| over its
            window, so that x ∗ W ≈ (sign(x) ⊛ sign(W)) ⊙ K·α. Beyond the border |x| counts as
            |pad_values|, as for the convolution, and the mean is over all taps of the kernel.
    """

    def __init__(self, *args, pad_values=None, input_scale=False, **kwargs):
        self.input_scale = bool(input_scale)
        # After filters, kernel_size and strides, if it has no name.
        padding = args[3] if len(args) > 3 else kwargs.get("padding", "valid")
        causal = str(padding).lower() == "causal"
        if pad_values is None:
            pad_values = 0.0 if causal else 1.0
        elif causal and pad_values != 0:
            raise ValueError(
                f"pad_values is {pad_values}, but padding='causal' pads with zeros only: leave "
                "pad_values out, or pad the input yourself and use padding='valid'."
            )
        super().__init__(*args, pad_values=pad_values, **kwargs)
        if self.input_scale and not removes_magnitudes(self.input_quantizer):
            raise ValueError(
                f"{self.name}: input_scale stands in for the magnitude that an input quantizer "
                f"removes, but input_quantizer is {self.input_quantizer}."
            )

    def build(self, input_shape):
        if len(input_shape) != self.rank + 2:
            raise ValueError(
                f"{self.name}: the input has shape {tuple(input_shape)}, expected "
                f"{self.rank + 2} axes. Wrap the layer in TimeDistributed for a further one."
            )
        super().build(input_shape)

    def multiply(self, inputs, kernel):
        """The convolution of quantized inputs with a quantized kernel, padding included."""
        if self.groups > 1:
            outputs = self._convolve_compiled(inputs, kernel)
        else:
            outputs = convolve(self, inputs, kernel)
        if not tf.executing_eagerly():
            outputs.set_shape(self.compute_output_shape(inputs.shape))
        return outputs

    def along_channels(self, vector):
        if self.data_format == "channels_first":
            return tf.reshape(vector, [1, -1, *[1] * self.rank])
        return vector

    # On a CPU, TensorFlow has gradients of grouped convolutions only when it compiles them.
    @tf.function(jit_compile=True)
    def _convolve_compiled(self, inputs, kernel):
        return convolve(self, inputs, kernel)

    def input_factor(self, inputs):
        if not self.input_scale:
            return None
        channels_first = self.data_format == "channels_first"
        surrounded = padded(self, inputs)
        if channels_first:
            surrounded = tf.transpose(surrounded, [0, *range(2, self.rank + 2), 1])
        scale = scales.input_scale(
            surrounded, self.kernel_size, self.strides, self.dilation_rate, self.groups
        )
        if self.groups > 1:
            scale = tf.repeat(scale, self.filters // self.groups, axis=-1)
        if channels_first:
            scale = tf.transpose(scale, [0, self.rank + 1, *range(1, self.rank + 1)])
        return scale

    def get_config(self):
        return {**super().get_config(), "input_scale": self.input_scale}
