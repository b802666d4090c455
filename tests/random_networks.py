"""Random binarized networks: one a seed, of all that the export promises to carry."""

import larq
import numpy as np
import tensorflow as tf

import keras_bnn as kb
from keras_bnn.layers import BinaryConv1D, BinaryConv2D, BinaryDense

layers = tf.keras.layers
SIGNS = ("ste_sign", "approx_sign", "swish_sign")


def build(seed: int):
    """The network of `seed`, with weights and statistics as after training."""
    tf.keras.utils.set_random_seed(seed)
    builder = _Builder(seed)
    while True:
        try:
            return builder.model()
        except ValueError as error:
            # It has drawn a kernel that is larger than its map.
            if not any(text in str(error) for text in ("Negative dimension", "input size")):
                raise


class _Builder:
    def __init__(self, seed: int):
        self.random = np.random.default_rng(seed)
        self.is_1d = self.chance(0.15)
        self.shape: tuple[int, ...] | None = None

    def chance(self, probability: float) -> bool:
        return bool(self.random.random() < probability)

    def one_of(self, *options):
        return options[self.random.integers(len(options))]

    # The network as a whole.

    def model(self):
        inputs = [self.input() for _ in range(self.one_of(1, 1, 1, 2))]
        x = inputs[0]
        if len(inputs) == 2:
            x = layers.concatenate(inputs) if self.chance(0.5) else inputs[0] - inputs[1]
        if self.chance(0.6):
            x = self.float_convolution(x)
        for _ in range(self.one_of(1, 2, 3, 4, 5)):
            x = self.block(x)
        outputs = [self.head(x)]
        if self.chance(0.15):
            outputs.append(self.head(x))
        model = tf.keras.Model(inputs, outputs)
        self.train(model)
        return model

    def input(self):
        if self.shape is None:
            size = self.random.integers(6, 15, 1 if self.is_1d else 2)
            self.shape = (*map(int, size), self.one_of(1, 3, 16, 32, 33, 64))
        return tf.keras.Input(self.shape)

    def block(self, x):
        kind = self.one_of(
            self.plain,
            self.plain,
            self.residual,
            self.branches,
            self.behind_sign,
            self.twice,
            self.nested,
            self.arithmetic,
        )
        return kind(x)

    def head(self, x):
        kind = self.one_of("map", "mean", "flat", "binary", "binary", "sign")
        if kind == "map":
            return x
        if kind == "sign":
            return kb.quantizers.SteSign()(x)
        if kind == "mean":
            pool = layers.GlobalAveragePooling1D if self.is_1d else layers.GlobalAveragePooling2D
            x = pool()(x)
            return layers.Dense(5, activation=self.one_of(None, "softmax"))(x)
        x = layers.Flatten()(x)
        if kind == "binary":
            for _ in range(self.one_of(1, 2)):
                x = self.norm(self.dense()(x))
        return layers.Dense(5)(x)

    # Blocks.

    def plain(self, x):
        x = self.convolution()(x)
        steps = [self.norm, self.activation, self.pool]
        for step in self.random.permutation(3)[: self.random.integers(4)]:
            x = steps[step](x)
        return x

    def residual(self, x):
        y = self.norm(self.convolution(filters=x.shape[-1], keeps_size=True)(x))
        return layers.add([x, self.activation(y)])

    def branches(self, x):
        parts = [self.convolution(keeps_size=True)(x) for _ in range(2)]
        return layers.concatenate([*parts, x] if self.chance(0.3) else parts)

    def twice(self, x):
        """A layer that is called twice."""
        layer = self.convolution(filters=x.shape[-1], keeps_size=True)
        return layer(self.norm(layer(x)))

    def nested(self, x):
        inner = tf.keras.Sequential(
            [self.convolution(keeps_size=True), layers.BatchNormalization()]
        )
        return inner(x)

    def arithmetic(self, x):
        x = self.convolution()(x)
        channels = x.shape[-1]
        axes = self.one_of((channels,), (1,) * (len(x.shape) - 1) + (channels,), x.shape[1:])
        constant = tf.constant(self.random.normal(size=axes), tf.float32)
        operation = self.one_of(
            lambda t: t * constant,
            lambda t: t + constant,
            lambda t: constant - t,
            lambda t: t / 7.0,
        )
        return layers.Lambda(operation)(x)

    def behind_sign(self, x):
        """A sign of its own, and something between it and the convolution."""
        sign = self.one_of(
            kb.quantizers.SteSign(),
            layers.Lambda(lambda t: tf.where(t >= 0, 1.0, -1.0)),
            layers.Lambda(lambda t: tf.where(t > 0, 1.0, -1.0)),
        )
        x = sign(x)
        if self.is_1d:
            x = self.one_of(layers.ZeroPadding1D(1), layers.UpSampling1D(2), layers.Cropping1D(1))(
                x
            )
        else:
            between = self.one_of(
                layers.ZeroPadding2D(1),
                layers.ZeroPadding2D(((0, 2), (1, 0))),
                layers.UpSampling2D(2),
                layers.MaxPool2D(2, padding="same"),
                layers.Permute((2, 1, 3)),
                layers.Reshape((x.shape[2], x.shape[1], x.shape[3])),
                layers.Dropout(0.3),
            )
            x = between(x)
        return self.convolution(input_quantizer=None, padding="valid", size=self.one_of(1, 2, 3))(x)

    # Layers.

    def float_convolution(self, x):
        kind = layers.Conv1D if self.is_1d else layers.Conv2D
        return self.norm(kind(self.one_of(8, 16, 32), 3, padding="same")(x))

    def convolution(self, filters=None, keeps_size=False, size=None, **options):
        if filters is None:
            filters = self.one_of(3, 16, 31, 32, 40, 64)
        if size is None:
            size = self.one_of(1, 3, 3, 3) if keeps_size else self.one_of(1, 2, 3, 3, 4)
        settings = {
            "padding": "same" if keeps_size else self.one_of("same", "same", "valid"),
            "input_quantizer": self.one_of(*SIGNS),
            "kernel_quantizer": self.one_of(*SIGNS, "magnitude_aware_sign"),
            **options,
        }
        if self.chance(0.2):
            settings.update(use_bias=True, bias_initializer="random_normal")
        if self.chance(0.2):
            settings["activation"] = self.one_of("relu", tf.nn.relu6, "tanh")
        if settings["padding"] == "same":
            settings["pad_values"] = self.one_of(1.0, 1.0, 1.0, 0.0, -1.0)
        if not keeps_size and self.chance(0.3):
            settings[self.one_of("strides", "dilation_rate")] = 2
        if self.is_1d and self.chance(0.2) and not options:
            settings.update(padding="causal", pad_values=0.0)
            settings.pop("strides", None)
        return self.layer(filters, size, settings)

    def layer(self, filters, size, settings):
        """A layer of ours with its scales, or one of larq."""
        binary = settings["input_quantizer"] is not None
        plain = settings["kernel_quantizer"] != "magnitude_aware_sign"
        if self.chance(0.6) or settings["padding"] == "causal" or not plain:
            if plain and self.chance(0.3):
                settings["weight_scale"] = self.one_of("mean_abs", "abs_mean")
            if binary and self.chance(0.2):
                settings["input_scale"] = True
            return (BinaryConv1D if self.is_1d else BinaryConv2D)(filters, size, **settings)
        kind = larq.layers.QuantConv1D if self.is_1d else larq.layers.QuantConv2D
        return kind(filters, size, kernel_constraint="weight_clip", **settings)

    def dense(self):
        return BinaryDense(
            self.one_of(5, 32, 40),
            input_quantizer=self.one_of(*SIGNS),
            kernel_quantizer=self.one_of(*SIGNS, "magnitude_aware_sign"),
        )

    def norm(self, x):
        return layers.BatchNormalization(scale=self.chance(0.8))(x)

    def activation(self, x):
        kind = self.one_of(
            layers.ReLU(),
            layers.ReLU(6.0),
            layers.LeakyReLU(),
            layers.PReLU("random_normal"),
            layers.Activation("tanh"),
            layers.Activation("sigmoid"),
            layers.Activation("elu"),
        )
        return kind(x)

    def pool(self, x):
        if min(x.shape[1:-1]) < 4:
            return x
        kinds = (
            (layers.MaxPool1D, layers.AveragePooling1D)
            if self.is_1d
            else (layers.MaxPool2D, layers.MaxPool2D, layers.AveragePooling2D)
        )
        return self.one_of(*kinds)(2, padding=self.one_of("same", "valid"))(x)

    def train(self, model):
        """Gives statistics, factors and biases values as after training, some factors negative."""
        for weight in model.weights:
            name = weight.name.split("/")[-1]
            if name.startswith(("moving_mean", "beta")):
                weight.assign(self.random.normal(size=weight.shape))
            elif name.startswith("moving_variance"):
                weight.assign(self.random.uniform(0.5, 60.0, size=weight.shape))
            elif name.startswith("gamma"):
                sign = np.where(self.random.random(weight.shape) < self.one_of(0, 0.1), -1, 1)
                weight.assign(sign * self.random.uniform(0.5, 2.0, size=weight.shape))
