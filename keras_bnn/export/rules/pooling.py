"""Swaps a max pool and the batch normalization after it, where only signs read the result.

The converter packs convolution, batch normalization, max pool and sign in that order. Batch
normalization with a factor >= 0 keeps the order of values, so the largest stays the largest; one
negative factor would make it the smallest.
"""

from dataclasses import replace

from keras_bnn.export.rules.binary_products import feeds_binary_product
from keras_bnn.export.traced import SIGN, TracedGraph


def apply(graph: TracedGraph) -> bool:
    """Rewrites max pools before batch normalization."""
    changed = False
    for norm in graph.of("FusedBatchNormV3"):
        pool = graph.producer(norm.inputs[0])
        gamma = graph.constant(norm.inputs[1])
        readers = graph.consumers(norm.name)
        if (
            pool.op != "MaxPool"
            or norm.flag("is_training")
            or gamma is None
            or (gamma < 0).any()
            or len(graph.consumers(pool.name)) != 1
            or not readers
            or any(reader is None or reader.op != SIGN for reader in readers)
            or not any(feeds_binary_product(graph, reader.name) for reader in readers if reader)
        ):
            continue
        source = graph.spec(pool.inputs[0])
        first = replace(norm, name=graph.free_name(f"{norm.name}/before_pool"))
        first.inputs = [pool.inputs[0], *norm.inputs[1:]]
        first.outputs = [source, *norm.outputs[1:]]
        second = replace(pool, name=graph.free_name(f"{pool.name}/after_norm"))
        second.inputs = [f"{first.name}:0"]
        graph.nodes[first.name], graph.nodes[second.name] = first, second
        graph.replace(f"{norm.name}:0", f"{second.name}:0")
        changed = True
    graph.prune()
    return changed
