"""What is raised for input that cannot be used."""


class InputError(ValueError):
    """The input was wrong; the message is one line: what was got, expected, and to change."""
