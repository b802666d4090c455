"""What each operation does to the deviations of what it reads, and what it adds by rounding.

A rule takes the deviations known so far, a node and the index of one of its outputs, and answers
with a reference to the deviation of that output; `None` where it is exact.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from keras_bnn._keras import tf
from keras_bnn.export.deviations import DEVIATIONS, UNIT, Deviations
from keras_bnn.export.rules.binary_products import (
    PADS,
    SELECTIONS,
    behind_padding,
    follows_product,
    is_binary_product,
)
from keras_bnn.export.traced import SIGN, TERNARY, Node

# LCE computes K·m - 2x·m for a product x of K signs with a factor m: three times its magnitude.
_LCE_FORM = 3.0
# The converter folds constants into others (batch normalization into a factor and a bias), and so
# rounds some more times than the graph does.
_FOLDED = 4.0
# LiteRT's functions differ from TensorFlow's by 4 units at most (tanh; measured at 600,000 places),
# the exponential function by 63 near its overflow: below DEVIATIONS · 8 = 128.
_FUNCTION = 8.0


def _steepest_at_zero(derivative: Callable) -> Callable:
    """Of a function that is the flatter the further its input is from 0."""
    return lambda x, reach: derivative(tf.maximum(tf.abs(x) - reach, 0.0))


def _steepest_on_top(derivative: Callable) -> Callable:
    """Of a function that is the steeper the larger its input is."""
    return lambda x, reach: derivative(x + reach)


# The steepest slope of these functions from x - reach to x + reach, and whether they round. Where
# they are flat, as a gate is that lets all through, they hand on next to nothing.
FUNCTIONS: dict[str, tuple[Callable, bool]] = {
    "Abs": (lambda x, reach: 1.0, False),
    "Elu": (_steepest_on_top(lambda x: tf.exp(tf.minimum(x, 0.0))), True),
    "Erf": (_steepest_at_zero(lambda x: 2.0 / np.sqrt(np.pi) * tf.exp(-tf.square(x))), True),
    "LeakyRelu": (lambda x, reach: 1.0, True),
    "Neg": (lambda x, reach: 1.0, False),
    "Relu": (_steepest_on_top(lambda x: tf.cast(x > 0.0, x.dtype)), False),
    "Relu6": (lambda x, reach: tf.cast((x > -reach) & (x < 6.0 + reach), x.dtype), False),
    "Selu": (_steepest_on_top(lambda x: 1.76 * tf.exp(tf.minimum(x, 0.0))), True),
    "Sigmoid": (_steepest_at_zero(lambda x: tf.sigmoid(x) * tf.sigmoid(-x)), True),
    "Softplus": (_steepest_on_top(tf.sigmoid), True),
    "Softsign": (_steepest_at_zero(lambda x: tf.math.reciprocal(tf.square(1.0 + x))), True),
    "Tanh": (_steepest_at_zero(lambda x: tf.math.reciprocal(tf.square(tf.cosh(x)))), True),
}
# What can stand between a binary product and an activation that LCE's operator takes in.
_TAKEN_IN = (*SELECTIONS, "BiasAdd", "FusedBatchNormV3", "Mul")
# The derivatives of those that have no such limit.
_DERIVATIVES: dict[str, Callable] = {
    "Exp": tf.exp,
    "Log": tf.math.reciprocal,
    "Reciprocal": lambda x: tf.math.reciprocal(tf.square(x)),
    "Rsqrt": lambda x: 0.5 * tf.math.rsqrt(x) / x,
    "Sqrt": lambda x: 0.5 * tf.math.rsqrt(x),
    "Square": lambda x: 2.0 * tf.abs(x),
}
# The distance of a value to the next one where the operation jumps, and how far it does.
_JUMPS: dict[str, tuple[Callable, float]] = {
    SIGN: (tf.abs, 2.0),
    TERNARY: (tf.abs, 1.0),
    "Sign": (tf.abs, 1.0),
    "Round": (lambda x: 0.5 - tf.abs(x - tf.round(x)), 1.0),
    "Floor": (lambda x: tf.abs(x - tf.round(x)), 1.0),
}


def _selection(deviations: Deviations, node: Node, index: int) -> str | None:
    return deviations.same(node, SELECTIONS[node.op], index)


def _moved(deviations: Deviations, node: Node, index: int) -> str | None:
    return deviations.same(node, slice(0, 1), index)


def _minimum(deviations: Deviations, node: Node, index: int) -> str | None:
    return deviations.same(replace(node, op="Max"), slice(0, 1), index)


def _pad(deviations: Deviations, node: Node, index: int) -> str | None:
    if node.op == "PadV2":
        node = replace(node, inputs=list(node.inputs))
        node.inputs[2] = deviations.exact(np.zeros((), np.float32), node.name)
    return deviations.same(node, slice(0, 1), index)


def _cast(deviations: Deviations, node: Node, _: int) -> str | None:
    source = deviations.graph.spec(node.inputs[0]).dtype
    if source.is_integer or source.is_bool:
        # Exact below 2^24, as pixels and the like are.
        return None
    return deviations.same(node, slice(0, 1), 0)


def _function(deviations: Deviations, node: Node, _: int) -> str:
    slope, rounds = FUNCTIONS[node.op]
    own = _FUNCTION * UNIT if rounds else 0.0
    return deviations.of_one(
        node, lambda x, d, y: slope(x, DEVIATIONS * d) * d + own * (tf.abs(y) + 1.0)
    )


def _rectifier(deviations: Deviations, node: Node, index: int) -> str:
    # LCE's operator rectifies its integers first. What it rounds behind that is there at 0, too.
    if follows_product(deviations.graph, node.inputs[0], _TAKEN_IN):
        return deviations.of_one(node, lambda x, d, y: d)
    return _function(deviations, node, index)


def _smooth(deviations: Deviations, node: Node, _: int) -> str:
    derivative = _DERIVATIVES[node.op]
    return deviations.of_one(
        node, lambda x, d, y: tf.abs(derivative(x)) * d + _FUNCTION * UNIT * tf.abs(y)
    )


def _jump(deviations: Deviations, node: Node, _: int) -> str:
    distance, size = _JUMPS[node.op]
    return deviations.of_one(
        node, lambda x, d, y: tf.where(distance(x) >= DEVIATIONS * d, 0.0, size)
    )


def _fake_quantization(deviations: Deviations, node: Node, _: int) -> str:
    low, high = (node.attributes[name].f for name in ("min", "max"))
    levels = 2 ** node.attributes["num_bits"].i - 1
    # One level more or less.
    step = (high - low) / levels / DEVIATIONS
    return deviations.of_one(node, lambda x, d, y: d + 1.01 * step * tf.ones_like(y))


def _sum(deviations: Deviations, node: Node, _: int) -> str:
    return deviations.of_two(
        node,
        lambda a, da, b, db: (
            tf.sqrt(tf.square(da) + tf.square(db)) + _FOLDED * UNIT * (tf.abs(a) + tf.abs(b))
        ),
    )


def _larger(deviations: Deviations, node: Node, _: int) -> str:
    return deviations.of_two(node, lambda a, da, b, db: tf.maximum(da, db) + 0.0 * (a + b))


def _product(deviations: Deviations, node: Node, _: int) -> str:
    def compute(a, da, b, db):
        # Of two bounds, DEVIATIONS · da and DEVIATIONS · db, the product counts too.
        handed_on = tf.abs(a) * db + tf.abs(b) * da + DEVIATIONS * da * db
        return handed_on + _FOLDED * UNIT * tf.abs(a * b)

    return deviations.of_two(node, compute)


def _quotient(deviations: Deviations, node: Node, _: int) -> str:
    return deviations.of_two(
        node,
        lambda a, da, b, db: (da + tf.abs(a / b) * db) / tf.abs(b) + _FOLDED * UNIT * tf.abs(a / b),
    )


def _difference_squared(deviations: Deviations, node: Node, _: int) -> str:
    def compute(a, da, b, db):
        size = tf.abs(a) + tf.abs(b)
        return 2.0 * tf.abs(a - b) * (da + db + _FOLDED * UNIT * size)

    return deviations.of_two(node, compute)


def _normalization(deviations: Deviations, node: Node, _: int) -> str:
    epsilon = node.attributes["epsilon"].f

    def compute(x, d, gamma, beta, mean, variance):
        factor = tf.abs(gamma) * tf.math.rsqrt(variance + epsilon)
        return factor * d + _FOLDED * UNIT * ((tf.abs(x) + tf.abs(mean)) * factor + tf.abs(beta))

    x, *constants = node.inputs[:5]
    return deviations.build(compute, x, deviations.of(x), *constants, name=node.name)


def _weighted_sum(deviations: Deviations, node: Node, _: int) -> str:
    """Convolutions and matrix products."""
    x, kernel = node.inputs[:2]
    shape = deviations.graph.spec(kernel).shape
    terms = shape.num_elements() / shape[-1] if shape.is_fully_defined() else 1e4
    places = 1.0
    if node.op in ("Conv2D", "DepthwiseConv2dNative"):
        places = float(shape[0] * shape[1])
    if node.op == "DepthwiseConv2dNative":
        terms = places
    own = UNIT * np.sqrt(terms) * _FOLDED
    reads_sign = behind_padding(deviations.graph, x).name in deviations.sign_inputs
    if reads_sign and is_binary_product(deviations.graph, node):
        own = UNIT * _LCE_FORM
    magnitude = _applied_to_each(deviations, node, tf.abs, x, kernel)
    handed_on = []
    if not deviations.is_exact(x):
        pair = deviations.of(x), kernel
        handed_on.append(_applied_to_each(deviations, node, tf.square, *pair))
    if not deviations.is_exact(kernel):
        pair = x, deviations.of(kernel)
        handed_on.append(_applied_to_each(deviations, node, tf.square, *pair))

    def compute(size, *variances):
        deviation = own * size
        if variances:
            deviation += tf.sqrt(places * tf.add_n(list(variances)))
        return deviation

    return deviations.build(compute, magnitude, *handed_on, name=node.name)


def _applied_to_each(
    deviations: Deviations, node: Node, to_each: Callable, *references: str
) -> str:
    """The operation of `node` on `to_each` of other values."""
    inputs = [deviations.build(to_each, reference, name=node.name) for reference in references]
    return deviations.applied(node, inputs)


def _pool(deviations: Deviations, node: Node, _: int) -> str:
    own = UNIT * float(np.sqrt(np.prod(node.attributes["ksize"].list.i)))
    # The mean of the errors is not smaller than they are, if all are the same.
    return _of_means(deviations, node, own)


def _reduction(deviations: Deviations, node: Node, _: int) -> str:
    x, axes = node.inputs
    before = deviations.graph.spec(x).shape
    count = np.prod(
        [before[int(axis)] or 1 for axis in np.atleast_1d(deviations.graph.value(axes))]
    )
    return _of_means(deviations, node, UNIT * float(np.sqrt(count)))


def _of_means(deviations: Deviations, node: Node, own: float) -> str:
    """Of an operation that adds up, applied to the deviations and to the magnitudes."""
    x, *more = node.inputs
    operands = deviations.build(
        lambda x, d: d + own * tf.abs(x), x, deviations.of(x), name=node.name
    )
    return deviations.applied(node, [operands, *more])


def _softmax(deviations: Deviations, node: Node, _: int) -> str:
    def compute(_, d, y):
        # TFLite's exponential function is exact to 2^-24, not to 2^-24 of a small result.
        return y * 2.0 * tf.reduce_max(d, -1, keepdims=True) + _FUNCTION * UNIT

    return deviations.of_one(node, compute)


# By the operation.
RULES: dict[str, Callable] = {
    **dict.fromkeys(SELECTIONS, _selection),
    **dict.fromkeys(PADS, _pad),
    **dict.fromkeys(FUNCTIONS, _function),
    **dict.fromkeys(_DERIVATIVES, _smooth),
    **dict.fromkeys(_JUMPS, _jump),
    "AddV2": _sum,
    "AvgPool": _pool,
    "BatchMatMulV2": _weighted_sum,
    "BatchToSpaceND": _moved,
    "BiasAdd": _sum,
    "Cast": _cast,
    "Conv2D": _weighted_sum,
    "DepthwiseConv2dNative": _weighted_sum,
    "FakeQuantWithMinMaxArgs": _fake_quantization,
    "FusedBatchNormV3": _normalization,
    "MatMul": _weighted_sum,
    "Max": _moved,
    "Maximum": _larger,
    "Mean": _reduction,
    "Min": _minimum,
    "Minimum": _larger,
    "Mul": _product,
    "RealDiv": _quotient,
    "Relu": _rectifier,
    "Relu6": _rectifier,
    "Softmax": _softmax,
    "SpaceToBatchND": _moved,
    "SquaredDifference": _difference_squared,
    "Sub": _sum,
    "Sum": _reduction,
}
