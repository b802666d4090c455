"""Builds the package; its metadata is in pyproject.toml."""

from setuptools import find_packages, setup

# `export/` is the device side: it travels in the source distribution, not in the wheel.
setup(packages=find_packages(include=["keras_bnn", "keras_bnn.*"]))
