"""Several attributes of an object at once, to compare them in one line."""


def fields(layer, names):
    return tuple(getattr(layer, name) for name in names.split())
