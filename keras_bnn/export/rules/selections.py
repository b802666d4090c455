"""Moves reshapes, pools, concatenations and the like from behind a sign to before it.

The converter makes a convolution 1-bit only where its sign stands directly before it. A selection
hands on values without computing, so it can come first: sign(select(x)) = select(sign(x)).
"""

from dataclasses import replace

from keras_bnn.export.rules.binary_products import PADS, SELECTIONS, feeds_binary_product
from keras_bnn.export.rules.geometry import is_same_padding, pad_amounts
from keras_bnn.export.traced import SIGN, Node, TracedGraph


def apply(graph: TracedGraph) -> bool:
    """Moves one layer of selections; returns whether there were any."""
    changed = False
    for node in graph.of(*SELECTIONS, *PADS):
        if node.op in PADS:
            movable = _is_movable_pad(graph, node)
            data = slice(0, 1)
        else:
            movable = True
            data = SELECTIONS[node.op]
        signs = [graph.producer(reference) for reference in node.inputs[data]]
        strictness = {sign.strict for sign in signs}
        if (
            not movable
            or len(strictness) != 1
            or any(sign.op != SIGN for sign in signs)
            or not feeds_binary_product(graph, node.name)
        ):
            continue
        moved = replace(node, name=graph.free_name(f"{node.name}/before_sign"))
        moved.inputs = list(node.inputs)
        moved.inputs[data] = [sign.inputs[0] for sign in signs]
        graph.nodes[moved.name] = moved
        for i in range(len(node.outputs)):
            sign = graph.sign(f"{moved.name}:{i}", node.name, strictness.pop())
            strictness = {graph.producer(sign).strict}
            graph.replace(f"{node.name}:{i}", sign)
        changed = True
    graph.prune()
    return changed


def _is_movable_pad(graph: TracedGraph, node: Node) -> bool:
    """Whether `node` pads with ±1 other than as the convolution after it could by itself."""
    value = None if node.op == "Pad" else graph.constant(node.inputs[2])
    amounts = pad_amounts(graph, node)
    if value is None or value not in (1.0, -1.0) or amounts is None:
        return False
    readers = graph.consumers(node.name)
    return not (
        value == 1
        and all(
            reader is not None and reader.op == "Conv2D" and is_same_padding(graph, reader, amounts)
            for reader in readers
        )
    )
