"""What is raised for input that cannot be used, and what is said of a missing part."""


class InputError(ValueError):
    """The input was wrong; the message is one line: what was got, expected, and to change."""


class MissingLibraryWarning(RuntimeWarning):
    """Our library of 1-bit kernels is not in use, and something slower stands in for it."""


class NotLearningWarning(UserWarning):
    """A network does not learn; the message is one line: what was measured, where, the remedy."""
