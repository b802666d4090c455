"""How figures compare, in words."""


def smaller(size: float, other: float) -> str:
    """How `size` compares with `other`.

    >>> smaller(10, 25), smaller(25, 10)
    ('2.5x smaller', '2.5x larger')
    """
    return _times(size, other, "smaller", "larger", "of the same size")


def faster(time: float, other: float) -> str:
    """How who takes `time` compares with who takes `other`.

    >>> faster(1.0, 3.0), faster(3.0, 3.0)
    ('3.0x as fast', 'as fast')
    """
    return _times(time, other, "as fast", "slower", "as fast")


def _times(value: float, other: float, less: str, more: str, equal: str) -> str:
    ratio = max(value, other) / min(value, other)
    if f"{ratio:.1f}" == "1.0":
        return equal
    return f"{ratio:.1f}x {less if value < other else more}"
