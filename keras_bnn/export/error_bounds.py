"""How far two computations of one graph in float32 can be apart by rounding.

A value that is computed by additions and multiplications is a sum of products, each of which has
been rounded at most n times on its way. So its error is at most n · u · S, with u = 2^-24 and S the
sum of the magnitudes of those products (Higham, Accuracy and Stability of Numerical Algorithms,
2002, section 3.1, without its terms in u²). S is the value of the same graph with the magnitudes of
all inputs and constants, and with additions for subtractions. Functions that change by at most L
times the change of their input hand on L times its error.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from keras_bnn._keras import tf
from keras_bnn.export.rules.binary_products import PADS, SELECTIONS, is_binary_product
from keras_bnn.export.traced import Node, TracedGraph, split

_UNIT = 2.0**-24
# The converter folds constants into others (batch normalization into a factor and a bias), and so
# rounds them some more times than the graph does.
_FOLDED = 16
# LCE computes K·m - 2x·m for a product x of K signs with a factor m: three times its magnitude.
_LCE_FORM = 3.0
# Lipschitz constants.
_FUNCTIONS = {
    "Abs": 1.0,
    "Elu": 1.0,
    "Erf": 1.13,
    "LeakyRelu": 1.0,
    "Neg": 1.0,
    "Relu": 1.0,
    "Relu6": 1.0,
    "Selu": 1.76,
    "Sigmoid": 0.25,
    "Softplus": 1.0,
    "Softsign": 1.0,
    "Tanh": 1.0,
}
_FUNCTION_ROUNDINGS = 8


@dataclass(frozen=True)
class Magnitude:
    """S of one value, and how often its terms were rounded; `None`: no bound is known."""

    reference: str
    roundings: int | None


class ErrorBounds:
    """The bounds of the outputs of a graph.

    Args:
        graph: Its further inputs (see `exact_inputs`) are ±1.
        exact_inputs: Names of inputs that hold signs: products of them with ±1 are exact.

    Attributes:
        unbounded: Operations for which no bound is known, where an output depends on one.
    """

    def __init__(self, graph: TracedGraph, exact_inputs: list[str]):
        self._graph = graph
        self._exact_inputs = exact_inputs
        self._result = graph.copy()
        self._known: dict[str, Magnitude] = {}
        self.unbounded: set[str] = set()
        self._read = {_key(ref) for node in graph.nodes.values() for ref in node.inputs}
        self._read |= {_key(reference) for reference in graph.outputs}
        self._free = self._names_without_inputs()
        self._add_constants()
        for node in graph.ordered():
            self._add(node)
        outputs = [self._known[_key(reference)] for reference in graph.outputs]
        self._roundings = [magnitude.roundings for magnitude in outputs]
        if None not in self._roundings:
            self.unbounded.clear()
        self._result.outputs = [magnitude.reference for magnitude in outputs]
        self._result.prune()
        self._module = self._result.to_module()

    def of(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """The bound of each output for these inputs; infinite where none is known."""
        sums = self._module.serve(*(tf.abs(array) for array in inputs)).values()
        return [
            np.full(s.shape, np.inf) if n is None else 2 * (n + _FOLDED) * _UNIT * s.numpy()
            for s, n in zip(sums, self._roundings, strict=True)
        ]

    def _names_without_inputs(self) -> set[str]:
        """The nodes that depend on no input of the graph."""
        free: set[str] = set()
        for node in self._graph.ordered():
            if node.name not in self._graph.inputs and all(
                split(reference)[0] in free for reference in node.inputs
            ):
                free.add(node.name)
        return free

    def _add_constants(self) -> None:
        """What depends on no input is computed once, and rounded a few times."""
        graph, free = self._graph, self._free
        computed = [
            reference
            for node in graph.nodes.values()
            if node.name not in free
            for reference in node.inputs
            if split(reference)[0] in free and graph.spec(reference).dtype.is_floating
        ]
        computed += [ref for ref in graph.outputs if split(ref)[0] in free]
        computed = list(dict.fromkeys(computed))
        for reference, value in zip(computed, graph.evaluate(computed), strict=True):
            is_given = graph.constant(reference) is not None
            magnitude = self._result.variable(np.abs(value), f"{reference}/magnitude")
            self._known[_key(reference)] = Magnitude(magnitude, 0 if is_given else 8)

    def _add(self, node: Node) -> None:
        for index in range(len(node.outputs)):
            key = f"{node.name}:{index}"
            if key in self._read and node.name not in self._free:
                self._known[key] = self._magnitude(node, index)

    def _magnitude(self, node: Node, index: int) -> Magnitude:
        if node.op == "Leaf" or not node.outputs[index].dtype.is_floating:
            # What is no float holds shapes and indices, which are exact.
            return Magnitude(f"{node.name}:{index}", 0)
        if node.op in SELECTIONS:
            return self._same(node, SELECTIONS[node.op], 0, index)
        if node.op in _FUNCTIONS:
            constant = _FUNCTIONS[node.op]
            return self._built(lambda s: constant * s + 1.0, node, _FUNCTION_ROUNDINGS)
        handler = _HANDLERS.get(node.op)
        if handler is None or index:
            self.unbounded.add(node.op)
            return Magnitude(f"{node.name}:{index}", None)
        return handler(self, node)

    def _inputs(self, node: Node) -> list[Magnitude]:
        return [self._known[_key(reference)] for reference in node.inputs]

    def _moved(self, node: Node) -> Magnitude:
        return self._same(node, slice(0, 1), 0)

    def _same(self, node: Node, data: slice, roundings: int, index: int = 0) -> Magnitude:
        """The same operation on magnitudes."""
        copy = replace(node, name=self._result.free_name(f"{node.name}/magnitude"))
        copy.inputs = list(node.inputs)
        sources = [self._known[_key(reference)] for reference in node.inputs[data]]
        copy.inputs[data] = [source.reference for source in sources]
        self._result.nodes[copy.name] = copy
        return Magnitude(f"{copy.name}:{index}", _most(sources, roundings))

    def _built(self, compute: Callable, node: Node, roundings: int) -> Magnitude:
        """`compute` on the magnitudes of the inputs."""
        sources = self._inputs(node)
        references = [source.reference for source in sources]
        name = f"{node.name}/magnitude"
        return Magnitude(
            self._result.build(compute, *references, name=name), _most(sources, roundings)
        )

    # One method a kind of operation.

    def _sum(self, node: Node) -> Magnitude:
        return self._built(tf.add, node, 1)

    def _bias(self, node: Node) -> Magnitude:
        return self._built(tf.nn.bias_add, node, 1)

    def _larger(self, node: Node) -> Magnitude:
        return self._built(tf.maximum, node, 0)

    def _product(self, node: Node) -> Magnitude:
        sources = self._inputs(node)
        return self._known_sum_of_roundings(self._built(tf.multiply, node, 1), sources)

    def _quotient(self, node: Node) -> Magnitude:
        if split(node.inputs[1])[0] not in self._free:
            self.unbounded.add(node.op)
            return Magnitude(f"{node.name}:0", None)
        return self._built(tf.divide, node, 2)

    def _square(self, node: Node) -> Magnitude:
        sources = self._inputs(node)
        return self._known_sum_of_roundings(self._built(tf.square, node, 1), sources * 2)

    @staticmethod
    def _known_sum_of_roundings(built: Magnitude, sources: list[Magnitude]) -> Magnitude:
        counts = [source.roundings for source in sources]
        if None in counts:
            return replace(built, roundings=None)
        return replace(built, roundings=sum(counts) + 1)  # type: ignore[arg-type]

    def _normalization(self, node: Node) -> Magnitude:
        epsilon = node.attributes["epsilon"].f

        def compute(x, gamma, beta, mean, variance):
            return (x + mean) * gamma * tf.math.rsqrt(variance + epsilon) + beta

        return self._built(compute, node, 6)

    def _weighted_sum(self, node: Node) -> Magnitude:
        """Convolutions and matrix products: one rounding for each term at most."""
        kernel = self._graph.spec(node.inputs[1]).shape
        outputs = kernel[-1]
        terms = kernel.num_elements() // outputs
        if node.op == "DepthwiseConv2dNative":
            terms = kernel[0] * kernel[1]
        same = self._same(node, slice(0, 2), terms)
        if is_binary_product(self._graph, node) and self._is_exact(node.inputs[0]):
            scaled = self._result.build(
                lambda s: _LCE_FORM * s, same.reference, name=f"{node.name}/magnitude"
            )
            return Magnitude(scaled, 0)
        return same

    def _is_exact(self, reference: str) -> bool:
        node = self._graph.producer(reference)
        if node.op in PADS:
            return self._is_exact(node.inputs[0])
        return node.name in self._exact_inputs

    def _pad(self, node: Node) -> Magnitude:
        if node.op == "PadV2":
            value = self._graph.value(node.inputs[2])
            padded = replace(node, inputs=list(node.inputs))
            padded.inputs[2] = self._result.variable(np.abs(value), f"{node.name}/magnitude")
            node = padded
        return self._same(node, slice(0, 1), 0)

    def _pool(self, node: Node) -> Magnitude:
        window = int(np.prod(node.attributes["ksize"].list.i))
        return self._same(node, slice(0, 1), window)

    def _reduction(self, node: Node) -> Magnitude:
        before = self._graph.spec(node.inputs[0]).shape
        axes = np.atleast_1d(self._graph.value(node.inputs[1]))
        return self._same(node, slice(0, 1), int(np.prod([before[int(axis)] for axis in axes])))

    def _softmax(self, node: Node) -> Magnitude:
        classes = node.outputs[0].shape[-1]

        def compute(s):
            return 2.0 * tf.reduce_max(s, -1, keepdims=True) + tf.ones_like(s)

        return self._built(compute, node, classes + _FUNCTION_ROUNDINGS)


_HANDLERS: dict[str, Callable[[ErrorBounds, Node], Magnitude]] = {
    "AddV2": ErrorBounds._sum,
    "AvgPool": ErrorBounds._pool,
    "BatchMatMulV2": ErrorBounds._weighted_sum,
    "BatchToSpaceND": ErrorBounds._moved,
    "BiasAdd": ErrorBounds._bias,
    "Conv2D": ErrorBounds._weighted_sum,
    "DepthwiseConv2dNative": ErrorBounds._weighted_sum,
    "FusedBatchNormV3": ErrorBounds._normalization,
    "MatMul": ErrorBounds._weighted_sum,
    "Maximum": ErrorBounds._larger,
    "Mean": ErrorBounds._reduction,
    "Minimum": ErrorBounds._larger,
    "Mul": ErrorBounds._product,
    "Pad": ErrorBounds._pad,
    "PadV2": ErrorBounds._pad,
    "RealDiv": ErrorBounds._quotient,
    "Softmax": ErrorBounds._softmax,
    "SpaceToBatchND": ErrorBounds._moved,
    "Square": ErrorBounds._square,
    "Sub": ErrorBounds._sum,
    "Sum": ErrorBounds._reduction,
}


def _key(reference: str) -> str:
    name, index = split(reference)
    return f"{name}:{index}"


def _most(sources: list[Magnitude], more: int) -> int | None:
    counts = [source.roundings for source in sources]
    return None if None in counts else max(counts, default=0) + more  # type: ignore[type-var]
