"""Tables as plain text, which need no terminal."""

from collections.abc import Collection, Iterable


def aligned(rows: Iterable[tuple[str, ...]], right: Collection[int] = ()) -> str:
    """Joins cells to lines of aligned columns; those with an index in `right` end flush.

    >>> print(aligned([("layer", "bytes"), ("dense", "4")], right=[1]))
    layer  bytes
    dense      4
    """
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
