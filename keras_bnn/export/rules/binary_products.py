"""What the rules ask about products: whether a kernel is ±1, and whether a sign reaches one."""

from collections.abc import Collection

from keras_bnn.export.traced import SIGN, Node, TracedGraph, split

# Operations that hand on some of their input's values and compute nothing; the index of the inputs
# that hold values. The larger of two signs is the sign of the larger value.
SELECTIONS = {
    "ConcatV2": slice(0, -1),
    "DepthToSpace": slice(0, 1),
    "ExpandDims": slice(0, 1),
    "GatherV2": slice(0, 1),
    "MaxPool": slice(0, 1),
    "MirrorPad": slice(0, 1),
    "Pack": slice(0, None),
    "Reshape": slice(0, 1),
    "ResizeNearestNeighbor": slice(0, 1),
    "ReverseV2": slice(0, 1),
    "Slice": slice(0, 1),
    "SpaceToDepth": slice(0, 1),
    "Split": slice(1, 2),
    "Squeeze": slice(0, 1),
    "StridedSlice": slice(0, 1),
    "Tile": slice(0, 1),
    "Transpose": slice(0, 1),
}
PADS = ("Pad", "PadV2")
PRODUCTS = ("Conv2D", "MatMul", "BatchMatMulV2")


def is_binary_product(graph: TracedGraph, node: Node | None) -> bool:
    """Whether `node` multiplies with a kernel of ±1."""
    if node is None or node.op not in PRODUCTS:
        return False
    return graph.producer(node.inputs[1]).is_plus_minus_one


def feeds_binary_product(graph: TracedGraph, name: str) -> bool:
    """Whether the values of `name` reach a product with ±1, by selections and padding alone."""
    for reader in graph.consumers(name):
        if reader is None:
            continue
        if is_binary_product(graph, reader) and split(reader.inputs[0])[0] == name:
            return True
        if (reader.op in SELECTIONS or reader.op in PADS) and feeds_binary_product(
            graph, reader.name
        ):
            return True
    return False


def follows_product(graph: TracedGraph, reference: str, through: Collection[str]) -> bool:
    """Whether only operations `through` stand between `reference` and a product with ±1."""
    node = graph.producer(reference)
    if is_binary_product(graph, node):
        return True
    return node.op in through and any(
        follows_product(graph, source, through) for source in node.inputs
    )


def behind_padding(graph: TracedGraph, reference: str) -> Node:
    """What computes the values of `reference`, whatever is padded around them."""
    node = graph.producer(reference)
    return behind_padding(graph, node.inputs[0]) if node.op in PADS else node


def reads_sign(graph: TracedGraph, product: Node) -> bool:
    """Whether `product` multiplies a sign, or one with ±1 around it."""
    source = graph.producer(product.inputs[0])
    if source.op == "PadV2" and graph.producer(source.inputs[2]).is_plus_minus_one:
        source = graph.producer(source.inputs[0])
    return source.op == SIGN


def comes_from_sign(graph: TracedGraph, reference: str) -> bool:
    """Whether `reference` is a sign, handed on by selections alone."""
    node = graph.producer(reference)
    if node.op == SIGN:
        return True
    return node.op in SELECTIONS and all(
        comes_from_sign(graph, source) for source in node.inputs[SELECTIONS[node.op]]
    )
