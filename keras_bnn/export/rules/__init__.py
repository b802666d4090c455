"""Stage 2: rules that rewrite a traced model into forms that LCE's converter makes 1-bit.

One rule a file, each `apply(graph) -> bool`: whether it changed anything. A rule keeps what the
graph computes, but for roundings, and for what it writes into `graph.notes`.
"""

from keras_bnn.export.rules import (
    constants,
    dense,
    dilations,
    flatten,
    kernels,
    pooling,
    selections,
    signs,
    squeezes,
    uneven_padding,
    zero_padding,
)
from keras_bnn.export.traced import TracedGraph

# Kernels come first, since most rules ask whether one is ±1; constants last, since other rules
# add some.
RULES = (
    kernels,
    signs,
    dilations,
    squeezes,
    dense,
    selections,
    flatten,
    pooling,
    zero_padding,
    uneven_padding,
    constants,
)


_MOST_PASSES = 1000


def rewrite(graph: TracedGraph) -> None:
    """Applies all rules until none finds anything more.

    Each moves something in one direction only, so this ends; two that move it in opposite ones
    would go on for ever.
    """
    for _ in range(_MOST_PASSES):
        found = [rule.__name__ for rule in RULES if rule.apply(graph)]
        if not found:
            return
    raise AssertionError(f"The rules {found} do not come to an end.")
