"""The examples in docstrings do what they say."""

import doctest
import importlib
import pkgutil

import larq
import numpy as np
import pytest

import keras_bnn
from keras_bnn._keras import tf


def public_modules():
    """The modules that users import, and those of the functions `summary` and `load_model`."""
    names = [module.name for module in pkgutil.walk_packages(keras_bnn.__path__, "keras_bnn.")]
    # Python takes any .so for a module; this one is a plain library.
    names.remove("keras_bnn.runtime.libkeras_bnn")
    return ["keras_bnn", "keras_bnn._summary", *(name for name in names if "._" not in name)]


@pytest.mark.parametrize("name", public_modules())
def test_examples_of_module(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    available = {"np": np, "tf": tf, "larq": larq, "keras_bnn": keras_bnn, **vars(module)}
    assert not doctest.testmod(module, globs=available).failed
