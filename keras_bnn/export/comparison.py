"""The baked model against the values that a file computed at its signs and outputs."""

import numpy as np

from keras_bnn.export import segments
from keras_bnn.export.error_bounds import ErrorBounds
from keras_bnn.export.segments import Cut
from keras_bnn.export.traced import SIGN, Node, TracedGraph

# Where no error bound is known: of the largest value.
_UNPROVEN = 1e-3


class Pieces:
    """The baked model cut open at its signs, with error bounds: the same for every engine.

    Args:
        graph: The model, its rules applied.
        cuts: Where to open it.

    Attributes:
        cuts: As given.
        nodes: What computes each output, then the sign of each cut.
        unproven: Operations for which no error bound is known.
    """

    def __init__(self, graph: TracedGraph, cuts: list[Cut]):
        self.cuts = cuts
        self.nodes = [graph.producer(reference) for reference in graph.outputs]
        self.nodes += [cut.sign for cut in cuts]
        opened, names = segments.cut_open(graph, cuts)
        self._bounds = ErrorBounds(opened, names)
        self.unproven = sorted(self._bounds.unbounded)

    def of(self, inputs: list[np.ndarray], signs: list[np.ndarray]):
        """The value of each output and below each sign, and its bound, given all the signs."""
        return self._bounds.of([*inputs, *signs])


class Comparison:
    """What one engine computed, compared with the baked model.

    Args:
        pieces: The baked model.
        inputs: The samples.
        outputs: The engine's outputs for them.
        signs: The engine's signs at the cuts.

    Attributes: those of `Verification`, for this engine.
    """

    def __init__(
        self,
        pieces: Pieces,
        inputs: list[np.ndarray],
        outputs: list[np.ndarray],
        signs: list[np.ndarray],
    ):
        self.signs = self.explained_signs = self.wrong_signs = self.wrong_outputs = 0
        self.undecided = self.not_finite = 0
        self.largest_excess = 0.0
        values, limits = pieces.of(inputs, signs)
        for node, in_file, value, limit in zip(
            pieces.nodes, [*outputs, *signs], values, limits, strict=True
        ):
            finite = np.isfinite(value)
            largest = np.abs(value[finite]).max(initial=0.0)
            if limit is None:
                limit = np.full(value.shape, _UNPROVEN * largest)
            self.not_finite += int((~finite).sum())
            self.undecided += int((finite & (limit > largest)).sum())
            compare = self._compare_signs if node.op == SIGN else self._compare_outputs
            compare(node, in_file, value, limit)

    def _compare_signs(
        self, sign: Node, of_file: np.ndarray, below: np.ndarray, limit: np.ndarray
    ) -> None:
        expected = np.where(below > 0 if sign.strict else below >= 0, 1, -1)
        differs = expected != of_file
        explained = differs & (np.abs(below) <= limit)
        self.signs += differs.size
        self.explained_signs += int(explained.sum())
        self.wrong_signs += int((differs & ~explained).sum())

    def _compare_outputs(
        self, _: Node, of_file: np.ndarray, of_graph: np.ndarray, limit: np.ndarray
    ) -> None:
        difference = distance(of_file, of_graph)
        # Where nothing is rounded, the bound is 0, and so is the difference. No bound explains that
        # LiteRT stops at the largest float where the model becomes infinite.
        excess = np.where(difference > 0, np.inf, 0.0)
        np.divide(difference, limit, out=excess, where=(limit > 0) & np.isfinite(difference))
        self.wrong_outputs += int((excess > 1).sum())
        self.largest_excess = max(self.largest_excess, float(excess.max(initial=0.0)))


def distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """How far apart numbers are: 0 for equal ones and two NaN, infinite for one NaN or infinity."""
    both = np.isfinite(a) & np.isfinite(b)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    difference = np.where(same, 0.0, np.inf)
    return np.abs(np.subtract(a, b, out=difference, where=both, dtype=np.float64))
