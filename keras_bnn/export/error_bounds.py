"""How far two computations of one graph in float32 can be apart by rounding.

Each operation rounds: a sum of n terms by about √n · u times the sum of their magnitudes, with
u = 2^-24 (Higham and Mary, A New Approach to Probabilistic Rounding Error Analysis, 2019), and
hands on the errors of what it reads. Here both are carried along the graph, next to its values, as
standard deviations. Errors of different channels are taken as independent and add up in
quadrature; those of one channel at different places are not (a rounded factor is the same
everywhere), and add up in full. The bound is `DEVIATIONS` of them. A worst case in place of this
would grow with every layer until it allows anything.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from keras_bnn._keras import tf
from keras_bnn.export.lowering import to_module
from keras_bnn.export.rules.binary_products import (
    PADS,
    SELECTIONS,
    behind_padding,
    is_binary_product,
)
from keras_bnn.export.traced import SIGN, TERNARY, Node, TracedGraph, split

DEVIATIONS = 16.0
_UNIT = 2.0**-24
# LCE computes K·m - 2x·m for a product x of K signs with a factor m: three times its magnitude.
_LCE_FORM = 3.0
# The converter folds constants into others (batch normalization into a factor and a bias), and so
# rounds some more times than the graph does.
_FOLDED = 4.0
_FUNCTION = 8.0
# By how much at most these functions change for a change of their input by 1, and whether they
# round.
_FUNCTIONS = {
    "Abs": (1.0, False),
    "Elu": (1.0, True),
    "Erf": (1.13, True),
    "LeakyRelu": (1.0, True),
    "Neg": (1.0, False),
    "Relu": (1.0, False),
    "Relu6": (1.0, False),
    "Selu": (1.76, True),
    "Sigmoid": (0.25, True),
    "Softplus": (1.0, True),
    "Softsign": (1.0, True),
    "Tanh": (1.0, True),
}
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


class ErrorBounds:
    """The bounds of the outputs of a graph.

    Args:
        graph: Its inputs are exact.
        sign_inputs: Names of inputs that hold signs: products of them with ±1 are exact, but for
            the form in which LCE computes them.

    Attributes:
        unbounded: Operations for which no bound is known, where an output depends on one.
    """

    def __init__(self, graph: TracedGraph, sign_inputs: list[str]):
        self._graph = graph
        self._sign_inputs = sign_inputs
        self._result = graph.copy()
        # The deviation of each value, as a reference into the result; None for an exact one.
        self._known: dict[str, str | None] = {}
        # For which values no deviation is known, and because of what.
        self._causes: dict[str, set[str]] = {}
        read = {_key(ref) for node in graph.nodes.values() for ref in node.inputs}
        read |= {_key(reference) for reference in graph.outputs}
        for node in graph.ordered():
            for index in range(len(node.outputs)):
                if f"{node.name}:{index}" in read:
                    self._add(node, index)
        self._finish()

    def _finish(self) -> None:
        outputs = [_key(reference) for reference in self._graph.outputs]
        causes = [self._causes.get(output, set()) for output in outputs]
        self.unbounded: set[str] = set().union(*causes)
        self._result.outputs = [
            self._known[output] or self._zeros_like(output) for output in outputs
        ]
        self._is_bounded = [not cause for cause in causes]
        self._result.prune()
        self._module = to_module(self._result)

    def of(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """The bound of each output for these inputs; infinite where none is known."""
        deviations = self._module.serve(*map(tf.constant, inputs)).values()
        return [
            DEVIATIONS * deviation.numpy() if bounded else np.full(deviation.shape, np.inf)
            for deviation, bounded in zip(deviations, self._is_bounded, strict=True)
        ]

    def _add(self, node: Node, index: int) -> None:
        key = f"{node.name}:{index}"
        self._causes[key] = set().union(*(self._causes[_key(ref)] for ref in node.inputs))
        deviation = None
        # What is no float holds shapes and indices, which are exact, and so is what is given.
        if node.op not in ("Leaf", "Const") and node.outputs[index].dtype.is_floating:
            handler = _HANDLERS.get(node.op)
            if handler is None or (index and node.op not in SELECTIONS):
                self._causes[key].add(node.op)
            elif not self._causes[key]:
                deviation = handler(self, node, index)
        self._known[key] = deviation

    def _zeros_like(self, reference: str) -> str:
        return self._build(tf.zeros_like, reference, name="exact")

    def _build(self, compute: Callable, *references: str, name: str) -> str:
        return self._result.build(compute, *references, name=f"{name}/deviation")

    def _deviation(self, reference: str) -> str:
        """The deviation of a value, zeros for an exact one."""
        return self._known[_key(reference)] or self._zeros_like(reference)

    def _of_one(self, node: Node, compute: Callable) -> str:
        """`compute(x, d, y)` for the value and the deviation of its input, and its value."""
        x = node.inputs[0]
        return self._build(compute, x, self._deviation(x), f"{node.name}:0", name=node.name)

    def _of_two(self, node: Node, compute: Callable) -> str:
        """`compute(a, da, b, db)` for the values and deviations of its inputs."""
        a, b = node.inputs[:2]
        pairs = a, self._deviation(a), b, self._deviation(b)
        return self._build(compute, *pairs, name=node.name)

    def _same(self, node: Node, data: slice, index: int) -> str | None:
        """The same operation on the deviations."""
        if all(self._known[_key(reference)] is None for reference in node.inputs[data]):
            return None
        copy = replace(node, name=self._result.free_name(f"{node.name}/deviation"))
        copy.inputs = list(node.inputs)
        copy.inputs[data] = [self._deviation(reference) for reference in node.inputs[data]]
        self._result.nodes[copy.name] = copy
        return f"{copy.name}:{index}"

    # One method a kind of operation.

    def _selection(self, node: Node, index: int) -> str | None:
        return self._same(node, SELECTIONS[node.op], index)

    def _moved(self, node: Node, index: int) -> str | None:
        return self._same(node, slice(0, 1), index)

    def _minimum(self, node: Node, index: int) -> str | None:
        return self._same(replace(node, op="Max"), slice(0, 1), index)

    def _pad(self, node: Node, index: int) -> str | None:
        if node.op == "PadV2":
            node = replace(node, inputs=list(node.inputs))
            node.inputs[2] = self._result.variable(np.zeros((), np.float32), f"{node.name}/exact")
        return self._same(node, slice(0, 1), index)

    def _cast(self, node: Node, _: int) -> str | None:
        source = self._graph.spec(node.inputs[0]).dtype
        if source.is_integer or source.is_bool:
            # Exact below 2^24, as pixels and the like are.
            return None
        return self._same(node, slice(0, 1), 0)

    def _function(self, node: Node, _: int) -> str:
        slope, rounds = _FUNCTIONS[node.op]
        own = _FUNCTION * _UNIT if rounds else 0.0
        return self._of_one(node, lambda x, d, y: slope * d + own * (tf.abs(y) + 1.0))

    def _smooth(self, node: Node, _: int) -> str:
        derivative = _DERIVATIVES[node.op]
        return self._of_one(
            node, lambda x, d, y: tf.abs(derivative(x)) * d + _FUNCTION * _UNIT * tf.abs(y)
        )

    def _jump(self, node: Node, _: int) -> str:
        distance, size = _JUMPS[node.op]
        return self._of_one(
            node, lambda x, d, y: tf.where(distance(x) >= DEVIATIONS * d, 0.0, size)
        )

    def _fake_quantization(self, node: Node, _: int) -> str:
        low, high = (node.attributes[name].f for name in ("min", "max"))
        levels = 2 ** node.attributes["num_bits"].i - 1
        # One level more or less.
        step = (high - low) / levels / DEVIATIONS
        return self._of_one(node, lambda x, d, y: d + 1.01 * step * tf.ones_like(y))

    def _sum(self, node: Node, _: int) -> str:
        own = _FOLDED * _UNIT
        return self._of_two(
            node,
            lambda a, da, b, db: (
                tf.sqrt(tf.square(da) + tf.square(db)) + own * (tf.abs(a) + tf.abs(b))
            ),
        )

    def _larger(self, node: Node, _: int) -> str:
        return self._of_two(node, lambda a, da, b, db: tf.maximum(da, db) + 0.0 * (a + b))

    def _product(self, node: Node, _: int) -> str:
        own = _FOLDED * _UNIT
        return self._of_two(
            node,
            lambda a, da, b, db: tf.abs(a) * db + tf.abs(b) * da + own * tf.abs(a * b),
        )

    def _quotient(self, node: Node, _: int) -> str:
        own = _FOLDED * _UNIT
        return self._of_two(
            node,
            lambda a, da, b, db: (da + tf.abs(a / b) * db) / tf.abs(b) + own * tf.abs(a / b),
        )

    def _difference_squared(self, node: Node, _: int) -> str:
        own = _FOLDED * _UNIT

        def compute(a, da, b, db):
            size = tf.abs(a) + tf.abs(b)
            return 2.0 * tf.abs(a - b) * (da + db + own * size)

        return self._of_two(node, compute)

    def _normalization(self, node: Node, _: int) -> str:
        epsilon = node.attributes["epsilon"].f
        own = _FOLDED * _UNIT

        def compute(x, d, gamma, beta, mean, variance):
            factor = tf.abs(gamma) * tf.math.rsqrt(variance + epsilon)
            return factor * d + own * ((tf.abs(x) + tf.abs(mean)) * factor + tf.abs(beta))

        x, *constants = node.inputs[:5]
        return self._build(compute, x, self._deviation(x), *constants, name=node.name)

    def _weighted_sum(self, node: Node, _: int) -> str:
        """Convolutions and matrix products."""
        x, kernel = node.inputs[:2]
        shape = self._graph.spec(kernel).shape
        terms = shape.num_elements() / shape[-1] if shape.is_fully_defined() else 1e4
        places = 1.0
        if node.op in ("Conv2D", "DepthwiseConv2dNative"):
            places = float(shape[0] * shape[1])
        if node.op == "DepthwiseConv2dNative":
            terms = places
        own = _UNIT * np.sqrt(terms) * _FOLDED
        reads_sign = behind_padding(self._graph, x).name in self._sign_inputs
        if reads_sign and is_binary_product(self._graph, node):
            own = _UNIT * _LCE_FORM
        magnitude = self._applied(node, tf.abs, x, kernel)
        handed_on = [
            self._applied(node, tf.square, *pair)
            for pair, of in (
                ((self._deviation(x), kernel), x),
                ((x, self._deviation(kernel)), kernel),
            )
            if self._known[_key(of)] is not None
        ]

        def compute(size, *variances):
            deviation = own * size
            if variances:
                deviation += tf.sqrt(places * tf.add_n(list(variances)))
            return deviation

        return self._build(compute, magnitude, *handed_on, name=node.name)

    def _applied(self, node: Node, to_each: Callable, *references: str) -> str:
        """The operation of `node` on `to_each` of other values."""
        copy = replace(node, name=self._result.free_name(f"{node.name}/deviation"))
        copy.inputs = [self._build(to_each, reference, name=node.name) for reference in references]
        self._result.nodes[copy.name] = copy
        return f"{copy.name}:0"

    def _pool(self, node: Node, _: int) -> str:
        own = _UNIT * float(np.sqrt(np.prod(node.attributes["ksize"].list.i)))
        x = node.inputs[0]
        # The mean of the errors is not smaller than they are, if all are the same.
        return self._of_means(node, own, x)

    def _reduction(self, node: Node, _: int) -> str:
        x, axes = node.inputs
        before = self._graph.spec(x).shape
        count = np.prod([before[int(axis)] or 1 for axis in np.atleast_1d(self._graph.value(axes))])
        return self._of_means(node, _UNIT * float(np.sqrt(count)), x)

    def _of_means(self, node: Node, own: float, x: str) -> str:
        """Of an operation that adds up, applied to the deviations and to the magnitudes."""
        operands = self._build(
            lambda x, d: d + own * tf.abs(x), x, self._deviation(x), name=node.name
        )
        copy = replace(node, name=self._result.free_name(f"{node.name}/deviation"))
        copy.inputs = [operands, *node.inputs[1:]]
        self._result.nodes[copy.name] = copy
        return f"{copy.name}:0"

    def _softmax(self, node: Node, _: int) -> str:
        def compute(_, d, y):
            # TFLite's exponential function is exact to 2^-24, not to 2^-24 of a small result.
            return y * 2.0 * tf.reduce_max(d, -1, keepdims=True) + _FUNCTION * _UNIT

        return self._of_one(node, compute)


_HANDLERS: dict[str, Callable] = {
    **dict.fromkeys(SELECTIONS, ErrorBounds._selection),
    **dict.fromkeys(PADS, ErrorBounds._pad),
    **dict.fromkeys(_FUNCTIONS, ErrorBounds._function),
    **dict.fromkeys(_DERIVATIVES, ErrorBounds._smooth),
    **dict.fromkeys(_JUMPS, ErrorBounds._jump),
    "AddV2": ErrorBounds._sum,
    "AvgPool": ErrorBounds._pool,
    "BatchMatMulV2": ErrorBounds._weighted_sum,
    "BatchToSpaceND": ErrorBounds._moved,
    "BiasAdd": ErrorBounds._sum,
    "Cast": ErrorBounds._cast,
    "Conv2D": ErrorBounds._weighted_sum,
    "DepthwiseConv2dNative": ErrorBounds._weighted_sum,
    "FakeQuantWithMinMaxArgs": ErrorBounds._fake_quantization,
    "FusedBatchNormV3": ErrorBounds._normalization,
    "MatMul": ErrorBounds._weighted_sum,
    "Max": ErrorBounds._moved,
    "Maximum": ErrorBounds._larger,
    "Mean": ErrorBounds._reduction,
    "Min": ErrorBounds._minimum,
    "Minimum": ErrorBounds._larger,
    "Mul": ErrorBounds._product,
    "RealDiv": ErrorBounds._quotient,
    "Softmax": ErrorBounds._softmax,
    "SpaceToBatchND": ErrorBounds._moved,
    "SquaredDifference": ErrorBounds._difference_squared,
    "Sub": ErrorBounds._sum,
    "Sum": ErrorBounds._reduction,
}


def _key(reference: str) -> str:
    name, index = split(reference)
    return f"{name}:{index}"
