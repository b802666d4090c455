"""Names and shapes from a file as text that is safe to print."""

_LONGEST = 24


def printable(name: str) -> str:
    """Replaces control characters, which could change what a terminal shows.

    >>> printable("new" + chr(10) + "line")
    'new�line'
    """
    return "".join(char if char.isprintable() else "�" for char in name)


def short(name: str) -> str:
    """Cuts a name to what fits into a table."""
    name = printable(name)
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def shape_text(sizes: tuple[int, ...]) -> str:
    """Joins sizes, with ? for the open ones: "?×8×8×64".

    >>> shape_text((-1, 8))
    '?×8'
    """
    return "×".join(str(size) if size >= 0 else "?" for size in sizes) or "-"
