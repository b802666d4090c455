"""How long something takes, in words."""


def duration(seconds: float) -> str:
    """Seconds in the unit that reads best.

    >>> duration(4.25), duration(71), duration(600), duration(10_000)
    ('4.2 s', '71 s', '10 min', '3 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.0f} h"
