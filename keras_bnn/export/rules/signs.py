"""Recognizes the ways in which people write a sign, and makes each of them one operation.

Among them are the straight-through estimators `c + stop_gradient(sign(x) - c)`, which the converter
would leave as float arithmetic.
"""

import numpy as np

from keras_bnn._keras import tf
from keras_bnn.export.rules.binary_products import feeds_binary_product
from keras_bnn.export.traced import SIGN, TERNARY, Node, TracedGraph

_PLAIN_SIGN = (
    "tf.sign is 0 at 0, which one bit cannot hold: the file gives +1 there. Use a quantizer, or "
    "tf.where(x >= 0, 1.0, -1.0)."
)


_STRAIGHT_THROUGH = (
    "c + stop_gradient(sign(x) - c) is ±1 up to rounding in float32; the file has ±1 exactly, so "
    "that sums of them can be 0 where they were a hair beside it."
)


def apply(graph: TracedGraph) -> bool:
    """Rewrites all signs it finds; returns whether there were any."""
    changed = False
    for forms, operations in (
        (_twice, ("Sign",)),
        (_selected, ("Select", "SelectV2")),
        (_from_bool, ("Sub", "AddV2")),
        (_plain, ("Sign",)),
        (_straight_through, ("AddV2",)),
    ):
        for node in graph.of(*operations):
            sign = forms(graph, node)
            if sign is not None:
                graph.replace(f"{node.name}:0", sign)
                changed = True
    graph.prune()
    return changed


def _twice(graph: TracedGraph, node: Node) -> str | None:
    """sign(sign(x) + c), 0 < c < 1: larq's sign, never 0."""
    add = graph.producer(node.inputs[0])
    if add.op not in ("AddV2", "Add"):
        return None
    for inner, constant in (add.inputs, add.inputs[::-1]):
        value = graph.constant(constant)
        source = graph.producer(inner)
        if source.op == "Sign":
            if value is not None and value.size == 1 and 0 < value.item() < 1:
                return graph.sign(source.inputs[0], node.name)
            # sign(sign(x) + y) has three values, as in larq's ste_tern.
            node.op = TERNARY
    return None


def _selected(graph: TracedGraph, node: Node) -> str | None:
    """where(x >= t, c, -c), its mirror images, and the same with a strict comparison."""
    condition = graph.producer(node.inputs[0])
    first, second = (graph.constant(reference) for reference in node.inputs[1:])
    if first is None or second is None or len(condition.inputs) != 2:
        return None
    a, b = condition.inputs
    size = abs(first.ravel()[0])
    if size == 0 or (abs(first) != size).any() or (abs(second) != size).any():
        return None
    if (first > 0).all() and (second < 0).all():
        comparisons = {
            "GreaterEqual": (a, b, False),
            "LessEqual": (b, a, False),
            "Greater": (a, b, True),
            "Less": (b, a, True),
        }
    elif (first < 0).all() and (second > 0).all():
        # The opposite of a < b is a >= b.
        comparisons = {
            "Less": (a, b, False),
            "Greater": (b, a, False),
            "LessEqual": (a, b, True),
            "GreaterEqual": (b, a, True),
        }
    else:
        return None
    if condition.op not in comparisons:
        return None
    larger, smaller, strict = comparisons[condition.op]
    threshold = graph.constant(smaller)
    if threshold is None or threshold.any():
        if graph.spec(larger).dtype != tf.float32:
            return None
        larger = graph.build(tf.subtract, larger, smaller, name=f"{node.name}/minus_threshold")
    if graph.spec(larger).shape != node.outputs[0].shape:
        return None
    sign = graph.sign(larger, node.name, strict)
    return sign if size == 1 else graph.build(lambda s: s * size, sign, name=f"{node.name}/size")


def _from_bool(graph: TracedGraph, node: Node) -> str | None:
    """2 · cast(x >= 0) - 1."""
    for twice, one in (node.inputs, node.inputs[::-1]):
        expected = 1.0 if node.op == "Sub" else -1.0
        product = graph.producer(twice)
        if not _is(graph, one, expected) or product.op != "Mul":
            continue
        for cast, two in (product.inputs, product.inputs[::-1]):
            source = graph.producer(cast)
            if _is(graph, two, 2.0) and source.op == "Cast":
                condition = graph.producer(source.inputs[0])
                if condition.op in ("GreaterEqual", "Greater") and _is(
                    graph, condition.inputs[1], 0.0
                ):
                    return graph.sign(condition.inputs[0], node.name, condition.op == "Greater")
        if node.op == "Sub":
            break
    return None


def _plain(graph: TracedGraph, node: Node) -> str | None:
    """tf.sign(x), where ±1 is what its reader multiplies with."""
    if not feeds_binary_product(graph, node.name):
        return None
    graph.notes.append(_PLAIN_SIGN)
    return graph.sign(node.inputs[0], node.name)


def _straight_through(graph: TracedGraph, node: Node) -> str | None:
    """C + (sign(x) - c), what is left of a straight-through estimator without its gradient."""
    for passed, difference in (node.inputs, node.inputs[::-1]):
        subtract = graph.producer(difference)
        if subtract.op != "Sub" or subtract.inputs[1] != passed:
            continue
        sign = graph.producer(subtract.inputs[0])
        if sign.op == SIGN:
            graph.notes.append(_STRAIGHT_THROUGH)
            return subtract.inputs[0]
        if sign.op == "Sign":
            graph.notes.append(_PLAIN_SIGN)
            return graph.sign(sign.inputs[0], node.name)
    return None


def _is(graph: TracedGraph, reference: str, value: float) -> bool:
    constant = graph.constant(reference)
    return constant is not None and bool(np.all(constant == value))
