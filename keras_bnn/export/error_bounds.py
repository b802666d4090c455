"""How far two computations of one graph in float32 can be apart by rounding.

Each operation rounds: a sum of n terms by about √n · u times the sum of their magnitudes, with
u = 2^-24 (Higham and Mary, A New Approach to Probabilistic Rounding Error Analysis, 2019), and
hands on the errors of what it reads. Here both are carried along the graph, next to its values, as
standard deviations. Errors of different channels are taken as independent and add up in
quadrature; those of one channel at different places are not (a rounded factor is the same
everywhere), and add up in full. The bound is `DEVIATIONS` of them. A worst case in place of this
would grow with every layer until it allows anything.
"""

import numpy as np

from keras_bnn.export.deviations import DEVIATIONS, Deviations, key
from keras_bnn.export.lowering import served, to_module
from keras_bnn.export.propagation import RULES
from keras_bnn.export.rules.binary_products import SELECTIONS
from keras_bnn.export.traced import Node, TracedGraph


class ErrorBounds:
    """The outputs of a graph and their bounds.

    Args:
        graph: Its inputs are exact.
        sign_inputs: Names of inputs that hold signs: products of them with ±1 are exact, but for
            the form in which LCE computes them.

    Attributes:
        unbounded: Operations for which no bound is known, where an output depends on one.
    """

    def __init__(self, graph: TracedGraph, sign_inputs: list[str]):
        self._graph = graph
        self._deviations = Deviations(graph, sign_inputs)
        # For which values no deviation is known, and because of what.
        self._causes: dict[str, set[str]] = {}
        read = {key(ref) for node in graph.nodes.values() for ref in node.inputs}
        read |= {key(reference) for reference in graph.outputs}
        for node in graph.ordered():
            for index in range(len(node.outputs)):
                if f"{node.name}:{index}" in read:
                    self._add(node, index)
        self._finish()

    def _add(self, node: Node, index: int) -> None:
        output = f"{node.name}:{index}"
        self._causes[output] = set().union(*(self._causes[key(ref)] for ref in node.inputs))
        deviation = None
        # What is no float holds shapes and indices, which are exact, and so is what is given.
        if node.op not in ("Leaf", "Const") and node.outputs[index].dtype.is_floating:
            rule = RULES.get(node.op)
            if rule is None or (index and node.op not in SELECTIONS):
                self._causes[output].add(node.op)
            elif not self._causes[output]:
                deviation = rule(self._deviations, node, index)
        self._deviations.known[output] = deviation

    def _finish(self) -> None:
        outputs = [key(reference) for reference in self._graph.outputs]
        causes = [self._causes.get(output, set()) for output in outputs]
        self.unbounded: set[str] = set().union(*causes)
        self._is_bounded = [not cause for cause in causes]
        result = self._deviations.result
        result.outputs += [self._deviations.of(output) for output in outputs]
        result.prune()
        self._module = to_module(result)

    def of(self, inputs: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray | None]]:
        """Each output for these inputs, and its bound; `None` where none is known."""
        results = [tensor.numpy() for tensor in served(self._module, inputs)]
        values, deviations = results[: len(results) // 2], results[len(results) // 2 :]
        # What is not a number came of errors that leave float32.
        bounds = [
            np.nan_to_num(DEVIATIONS * deviation, nan=np.inf, posinf=np.inf) if bounded else None
            for deviation, bounded in zip(deviations, self._is_bounded, strict=True)
        ]
        return values, bounds
