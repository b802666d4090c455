"""Figures in words."""


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


def duration(seconds: float) -> str:
    """Seconds in the unit that reads best.

    >>> duration(4.25), duration(71), duration(600)
    ('4.2 s', '71 s', '10 min')
    """
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"
