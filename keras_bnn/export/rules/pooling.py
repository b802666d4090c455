"""Swaps a max pool and the batch normalization after it, where only signs read the result.

The converter packs convolution, batch normalization, max pool and sign in that order. Batch
normalization with a factor >= 0 keeps the order of values, so the largest stays the largest; one
negative factor would make it the smallest.
"""

from dataclasses import replace

from keras_bnn.export.rules.binary_products import feeds_binary_product
from keras_bnn.export.traced import SIGN, Node, TracedGraph


def apply(graph: TracedGraph) -> bool:
    """Rewrites max pools before batch normalization, one operation at a time."""
    changed = False
    for pool in graph.of("MaxPool"):
        readers = graph.consumers(pool.name)
        if len(readers) != 1 or readers[0] is None:
            continue
        after = readers[0]
        if not _keeps_order(graph, after) or not _ends_in_signs(graph, after):
            continue
        first = replace(after, name=graph.free_name(f"{after.name}/before_pool"))
        first.inputs = [pool.inputs[0], *after.inputs[1:]]
        first.outputs = [graph.spec(pool.inputs[0]), *after.outputs[1:]]
        second = replace(pool, name=graph.free_name(f"{pool.name}/after_norm"))
        second.inputs = [f"{first.name}:0"]
        graph.nodes[first.name], graph.nodes[second.name] = first, second
        graph.replace(f"{after.name}:0", f"{second.name}:0")
        changed = True
    graph.prune()
    return changed


def _keeps_order(graph: TracedGraph, node: Node) -> bool:
    """Whether `node` computes a·x + b on its first input, channel by channel, with a >= 0."""
    if node.op == "FusedBatchNormV3":
        gamma = graph.constant(node.inputs[1])
        return not node.flag("is_training") and gamma is not None and bool((gamma >= 0).all())
    if node.op not in ("AddV2", "BiasAdd", "Mul", "Sub"):
        return False
    constant = graph.constant(node.inputs[1])
    if constant is None or constant.ndim > 1:
        return False
    return node.op != "Mul" or bool((constant >= 0).all())


def _ends_in_signs(graph: TracedGraph, node: Node) -> bool:
    """Whether only signs read `node`, some of them for a binary product."""
    readers = [reader for reader in graph.consumers(node.name) if reader is not None]
    if len(readers) != len(graph.consumers(node.name)) or not readers:
        return False
    if len(readers) == 1 and _keeps_order(graph, readers[0]):
        return _ends_in_signs(graph, readers[0])
    return all(reader.op == SIGN for reader in readers) and any(
        feeds_binary_product(graph, reader.name) for reader in readers
    )
