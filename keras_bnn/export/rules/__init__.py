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
    constants,
)


def rewrite(graph: TracedGraph) -> None:
    """Applies all rules until none finds anything more."""
    while any([rule.apply(graph) for rule in RULES]):
        pass
