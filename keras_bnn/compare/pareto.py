"""Which of several networks no other one beats."""

from collections.abc import Sequence


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """The points that none is better than in one figure and at least as good in the other.

    Args:
        points: Of each network its cost (less is better) and its accuracy (more is better).

    Returns:
        Their indices, by rising cost. Of equal points all are there.

    >>> pareto_front([(3.0, 0.9), (1.0, 0.8), (2.0, 0.7)])
    [1, 0]
    """
    front = [
        index
        for index, point in enumerate(points)
        if not any(_is_better(other, point) for other in points)
    ]
    return sorted(front, key=lambda index: points[index])


def _is_better(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one != other and one[0] <= other[0] and one[1] >= other[1]
