"""Larq Zoo's networks, built of larq's own layers in the zoo's order of layers and weights.

What the zoo's published files of weights hold is fixed by these orders. The definitions that they
restate are those of Larq Zoo 2.3.2, https://github.com/larq/zoo.
"""

import larq
import tensorflow as tf

layers = tf.keras.layers
WIDTHS = (64, 128, 256, 512)


def signs(clip=None, **options):
    """The arguments of a binary layer of larq's."""
    if clip is None:
        given = {"input_quantizer": "ste_sign", "kernel_quantizer": "ste_sign"}
        return {**given, "kernel_constraint": "weight_clip", "use_bias": False, **options}
    return {
        "input_quantizer": larq.quantizers.SteSign(clip),
        "kernel_quantizer": larq.quantizers.SteSign(clip),
        "kernel_constraint": larq.constraints.WeightClip(clip),
        "use_bias": False,
        **options,
    }


def binary(x, filters, size=3, clip=None, **options):
    given = {"padding": "same", **options}
    return larq.layers.QuantConv2D(filters, size, **signs(clip, **given))(x)


def real(x, filters, size, **options):
    options = {"padding": "same", "use_bias": False, **options}
    return layers.Conv2D(filters, size, **options)(x)


def norm(x, epsilon=1e-5, **options):
    return layers.BatchNormalization(epsilon=epsilon, **options)(x)


def relu(x):
    return layers.Activation("relu")(x)


def top(image, x, classes):
    """Mean, dense layer and softmax; without classes the features."""
    if classes:
        x = layers.AveragePooling2D(x.shape[1:3])(x)
        x = layers.Dense(classes)(layers.Flatten()(x))
        x = layers.Activation("softmax")(x)
    return tf.keras.Model(image, x)


def shortcut(x, filters, epsilon):
    if x.shape[-1] == filters:
        return x
    return norm(real(layers.AvgPool2D(2, 2)(x), filters, 1), epsilon)


def residual(x, epsilon, clip=None, **options):
    for filters in WIDTHS:
        for _ in range(4):
            around = shortcut(x, filters, epsilon)
            strides = 1 if x.shape[-1] == filters else 2
            y = binary(x, filters, clip=clip, strides=strides, **options)
            x = layers.add([norm(y, epsilon), around])
    return x


def birealnet(shape, classes):
    image = tf.keras.Input(shape)
    x = norm(real(image, 64, 7, strides=2), 1e-3)
    x = layers.MaxPool2D(3, strides=2, padding="same")(x)
    magnitudes = {"kernel_quantizer": "magnitude_aware_sign", "input_quantizer": "approx_sign"}
    return top(image, residual(x, 1e-3, **magnitudes), classes)


def large_stem(image):
    x = relu(norm(real(image, 64, 7, strides=2)))
    return layers.MaxPool2D(3, strides=2, padding="same")(x)


def resnet_e18(shape, classes):
    image = tf.keras.Input(shape)
    x = real(image, 64, 3) if shape[0] < 50 else norm(large_stem(image))
    return top(image, relu(residual(x, 1e-5, clip=1.25)), classes)


def dense_net(depths, reductions):
    def build(shape, classes):
        image = tf.keras.Input(shape)
        x = real(image, 64, 3) if shape[0] < 50 else large_stem(image)
        for depth, reduction in zip(depths, (*reductions, None), strict=True):
            for _ in range(depth):
                x = layers.concatenate([x, binary(norm(x), 64, clip=1.3)])
            if reduction:
                x = relu(layers.MaxPooling2D(2, strides=2)(norm(x)))
                x = real(x, round(x.shape[-1] // reduction / 32) * 32, 1)
        return top(image, relu(norm(x)), classes)

    return build


def quick_net(depths, widths):
    def build(shape, classes):
        image = tf.keras.Input(shape)
        halves = {"strides": 2, "padding": "same", "use_bias": False}
        x = relu(norm(larq.layers.QuantConv2D(widths[0] // 4, 3, **halves)(image), 1e-3))
        x = larq.layers.QuantDepthwiseConv2D(3, **halves)(x)
        x = norm(x, 1e-3, scale=False, center=False)
        x = norm(larq.layers.QuantConv2D(widths[0], 1, use_bias=False)(x), 1e-3)
        for depth, filters in zip(depths, widths, strict=True):
            if filters != x.shape[-1]:
                x = layers.MaxPool2D(2, strides=1)(relu(x))
                x = layers.DepthwiseConv2D(3, trainable=False, **halves)(x)
                x = norm(larq.layers.QuantConv2D(filters, 1, use_bias=False)(x))
            for _ in range(depth):
                y = binary(x, filters, clip=1.25, activation="relu", pad_values=1.0)
                x = norm(y) + x
        return top(image, relu(x) if classes else x, classes)

    return build


def real_to_binary(shape, classes):
    image = tf.keras.Input(shape)
    x = norm(real(image, 64, 7, strides=2), 1e-3)
    x = layers.PReLU(shared_axes=[1, 2])(x)
    x = layers.MaxPool2D(3, strides=2, padding="same")(x)
    for filters in WIDTHS:
        for block in range(4):
            x = half_block(x, filters)
            if block % 2:
                x = layers.Lambda(lambda v: v)(x)
    return top(image, x, classes)


def half_block(x, filters):
    around = shortcut(x, filters, 1e-3)
    source = norm(x, 1e-3)
    y = binary(source, filters, strides=1 if x.shape[-1] == filters else 2)
    z = layers.Flatten()(layers.AveragePooling2D(source.shape[1:3])(source))
    z = layers.Dense(source.shape[-1] // 8, activation="relu", use_bias=False)(z)
    z = layers.Dense(filters, activation="sigmoid", use_bias=False)(z)
    y = layers.Multiply()([y, layers.Reshape((1, 1, filters))(z)])
    return layers.Add()([layers.PReLU(shared_axes=[1, 2])(y), around])


def binary_alexnet(shape, classes):
    image = tf.keras.Input(shape)
    x = binary(image, 64, 11, strides=4, input_quantizer=None)
    x = norm(layers.MaxPool2D(3, 2)(x), 1e-3, scale=False)
    for filters, size, pools in ((192, 5, 1), (384, 3, 0), (384, 3, 0), (256, 3, 1)):
        x = binary(x, filters, size)
        x = norm(layers.MaxPool2D(3, 2)(x) if pools else x, 1e-3, scale=False)
    if classes:
        x = layers.Flatten()(x)
        for units in (4096, 4096, classes):
            x = norm(larq.layers.QuantDense(units, **signs())(x), 1e-3, scale=False)
        x = layers.Activation("softmax")(x)
    return tf.keras.Model(image, x)


@tf.keras.utils.register_keras_serializable("larq_zoo_networks")
def xnor_weight_scale(kernel):
    """The signs times the mean magnitude of each output channel of the clipped kernel."""
    kernel = tf.clip_by_value(kernel, -1, 1)
    scale = tf.reduce_mean(tf.abs(kernel), [0, 1, 2], keepdims=True)
    return scale * larq.quantizers.ste_sign(kernel)


def xnornet(shape, classes):
    scaled = {"kernel_quantizer": xnor_weight_scale}
    image = tf.keras.Input(shape)
    x = relu(norm(real(image, 96, 11, strides=4), 1e-5, scale=False))
    x = norm(layers.MaxPool2D(3, 2)(x), 1e-4, scale=False)
    for filters, size, pools in ((256, 5, 1), (384, 3, 0), (384, 3, 0), (256, 3, 1)):
        x = binary(x, filters, size, **scaled)
        x = norm(layers.MaxPool2D(3, 2)(x) if pools else x, 1e-4, scale=False)
    x = norm(binary(x, 4096, 6, padding="valid", **scaled), 1e-4, scale=False)
    if classes:
        x = norm(binary(x, 4096, 1, padding="valid", **scaled), 1e-3, scale=False)
        x = layers.Dense(classes, use_bias=False)(layers.Flatten()(relu(x)))
        x = layers.Activation("softmax")(x)
    return tf.keras.Model(image, x)


def meliusnet22(shape, classes):
    image = tf.keras.Input(shape)
    x = relu(norm(real(image, 32, 3, strides=2)))
    for filters, groups in ((32, 4), (64, 8)):
        parts = layers.Lambda(lambda v, n=groups: tf.split(v, n, axis=-1))(x)
        parts = [real(part, filters // groups, 3) for part in parts]
        x = relu(norm(layers.Lambda(lambda v: tf.concat(v, axis=-1))(parts)))
    x = layers.MaxPool2D(2, strides=2, padding="same")(x)
    for depth, filters in ((4, 160), (5, 224), (4, 256), (4, None)):
        for _ in range(depth):
            y = binary(norm(x), 64, clip=1.3)
            x = layers.Lambda(lambda v: tf.concat(v, axis=-1))([x, y])
            y = binary(norm(x), 64, clip=1.3)
            x = layers.Lambda(improved)([x, y])
        if filters:
            x = layers.MaxPool2D(2, strides=2, padding="same")(norm(x))
            x = real(relu(x), filters, 1)
    return top(image, relu(norm(x)), classes)


def improved(pair):
    x, y = pair
    return x + tf.pad(y, [[0, 0], [0, 0], [0, 0], [x.shape[-1] - 64, 0]])


# By the names of our twins.
NETWORKS = {
    "binary_alexnet": binary_alexnet,
    "binary_densenet28": dense_net((6, 6, 6, 5), (2.7, 2.7, 2.2)),
    "binary_densenet37": dense_net((6, 8, 12, 6), (3.3, 3.3, 4)),
    "binary_densenet45": dense_net((6, 12, 14, 8), (2.7, 3.3, 4)),
    "birealnet18": birealnet,
    "meliusnet22": meliusnet22,
    "quicknet_small": quick_net((4, 4, 4, 4), (32, 64, 256, 512)),
    "quicknet": quick_net((4, 4, 4, 4), WIDTHS),
    "quicknet_large": quick_net((6, 8, 12, 6), WIDTHS),
    "real_to_binary_net": real_to_binary,
    "resnet_e18": resnet_e18,
    "xnornet": xnornet,
}
