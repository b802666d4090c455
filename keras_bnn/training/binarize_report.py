"""What `binarize` returns: a binary network, and how it came from a float one."""

from dataclasses import dataclass
from typing import Any

from keras_bnn.tables import aligned


@dataclass(frozen=True)
class Change:
    """What became of one layer.

    Attributes:
        layer: Its name; "inner/layer" in a model inside.
        change: "binary", "kept real", "inserted", "moved" or "removed".
        reason: Why, and what that comprises.
    """

    layer: str
    change: str
    reason: str


@dataclass(frozen=True)
class Binarized:
    """A binary network, and how it came from a float one.

    Attributes:
        model: The binary network, not compiled.
        changes: What became of each layer with a kernel and of each that was changed, in the order
            of the model.
        notes: What holds for all of it.
    """

    model: Any
    changes: list[Change]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        binary, real = (
            sum(change.change == kind for change in self.changes)
            for kind in ("binary", "kept real")
        )
        title = f"{self.model.name}: {binary} of {binary + real} layers with kernels are binary"
        rows = [(f"  {change.layer}", change.change, change.reason) for change in self.changes]
        return "\n".join([title, aligned(rows), *(f"  note: {note}" for note in self.notes)])
