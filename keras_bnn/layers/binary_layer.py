"""What all binary layers share: their defaults, the weight scale, and the order of one call."""

# A mixin: what it hands to `super()` is for the layer of larq behind it.
# pyright: reportCallIssue=false

from keras_bnn import constraints, quantizers
from keras_bnn._keras import larq, tf
from keras_bnn.layers import scales


def removes_magnitudes(quantizer) -> bool:
    """Whether `quantizer` does anything: larq's NoOp only marks what it gets."""
    return quantizer is not None and not isinstance(quantizer, larq.quantizers.NoOp)


class BinaryLayer:
    """Mixin in front of one of larq's quantized layers.

    One call computes, in this order,

        y = activation(multiply(input_quantizer(x), kernel_quantizer(W)) · scales + bias)

    Args (of every layer, beside those of the Keras layer it is made from):
        input_quantizer: Applied to the input; default `"ste_sign"`. `None` keeps it real.
        kernel_quantizer: Applied to the latent kernel; default `"ste_sign"`.
        kernel_constraint: Default `"weight_clip"`: latent weights stay in [-1, 1].
        use_bias: Default `False`: the batch normalization that follows has a bias of its own.
        weight_scale: XNOR-Net's α, one factor an output channel, from the latent kernel.
            `None`, `"mean_abs"` (the mean of |W|) or `"abs_mean"` (the magnitude of the mean
            of W). Gradients reach the latent kernel through α too.
    """

    def __init__(
        self,
        *args,
        input_quantizer="ste_sign",
        kernel_quantizer="ste_sign",
        kernel_constraint="weight_clip",
        use_bias=False,
        weight_scale=None,
        **kwargs,
    ):
        self.weight_scale = weight_scale
        super().__init__(
            *args,
            input_quantizer=quantizers.get(input_quantizer),
            kernel_quantizer=quantizers.get(kernel_quantizer),
            kernel_constraint=constraints.get(kernel_constraint),
            use_bias=use_bias,
            **kwargs,
        )
        self._check_weight_scale()

    def _check_weight_scale(self):
        if self.weight_scale is None:
            return
        if self.weight_scale not in scales.WEIGHT_SCALES:
            raise ValueError(
                f"{self.name}: weight_scale is {self.weight_scale!r}, expected None, "
                f"{' or '.join(map(repr, scales.WEIGHT_SCALES))}."
            )
        if isinstance(self.kernel_quantizer, larq.quantizers.MagnitudeAwareSign):
            raise ValueError(
                f"{self.name}: weight_scale={self.weight_scale!r} would scale twice, since "
                "magnitude_aware_sign scales the kernel already. Set one of them to another value."
            )
        if not removes_magnitudes(self.kernel_quantizer):
            raise ValueError(
                f"{self.name}: weight_scale={self.weight_scale!r} stands in for the magnitude that "
                f"a kernel quantizer removes, but kernel_quantizer is {self.kernel_quantizer}."
            )

    def call(self, inputs):
        quantized = self.input_quantizer(inputs) if self.input_quantizer else inputs
        with larq.context.quantized_scope(True):
            kernel = tf.convert_to_tensor(self.kernel)
        outputs = self.multiply(quantized, kernel)
        for scale in (self.weight_factor(), self.input_factor(inputs)):
            if scale is not None:
                outputs *= tf.cast(scale, outputs.dtype)
        if self.use_bias:
            outputs += self.along_channels(self.bias)
        if self.activation is not None:
            outputs = self.activation(outputs)
        return outputs

    def weight_factor(self):
        """α, of a shape that broadcasts with the output, or `None`."""
        if self.weight_scale is None:
            return None
        # Inside a quantized scope the kernel itself reads ±1, and α would be 1.
        latent = tf.convert_to_tensor(getattr(self.kernel, "latent_variable", self.kernel))
        return self.along_channels(scales.weight_scale(latent, self.weight_scale))

    def input_factor(self, inputs):
        """K for the real `inputs`, of a shape that broadcasts with the output, or `None`."""
        return

    def along_channels(self, vector):
        """Reshapes (channels,) so that it broadcasts with the output."""
        return vector

    def get_config(self):
        return {**super().get_config(), "weight_scale": self.weight_scale}
