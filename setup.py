"""Builds the package and, with CMake, the library of 1-bit kernels; metadata: pyproject.toml.

Without a C compiler the result is pure Python, and says so; `KERAS_BNN_NATIVE=1` makes that an
error. The library uses nothing of Python, so one wheel serves all versions of a platform.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

LIBRARY = "libkeras_bnn.so"
EXPORT = Path(__file__).parent / "export"


class BuildLibrary(build_ext):
    """Builds `export/` in a folder of its own: one shared by targets would ship another's."""

    def get_ext_filename(self, fullname):
        return str(Path(*fullname.split(".")).with_name(LIBRARY))

    def build_extension(self, ext):
        folder = Path(self.build_temp).absolute() / "keras_bnn"
        target = Path(self.get_ext_fullpath(ext.name)).absolute()
        # What an earlier build left names the tools of its environment, which is gone; and should
        # this one fail, nobody would know of a library that is still there.
        shutil.rmtree(folder, ignore_errors=True)
        target.unlink(missing_ok=True)
        options = os.environ.get("KERAS_BNN_CMAKE_OPTIONS", "").split()
        try:
            for command in (
                ["cmake", "-G", "Ninja", "-S", EXPORT, "-B", folder, *options],
                ["cmake", "--build", folder],
                ["cmake", "--install", folder, "--prefix", target.parent],
            ):
                subprocess.run(command, check=True, stdout=sys.stderr)
        except (OSError, subprocess.CalledProcessError) as error:
            if os.environ.get("KERAS_BNN_NATIVE") == "1":
                raise SystemExit(f"The library of 1-bit kernels was not built: {error}") from error
            print(f"WARNING: pure Python, without 1-bit kernels: {error}", file=sys.stderr)
            self.extensions.remove(ext)


class PlatformWheel(bdist_wheel):
    """Tags the wheel for a platform if the library was built, and else for any."""

    def run(self):
        self.run_command("build_ext")
        self.root_is_pure = not self.get_finalized_command("build_ext").extensions
        super().run()

    def get_tag(self):
        if self.root_is_pure:
            return "py3", "none", "any"
        # A cross compiler builds for a machine that this is not.
        machine = _machine(Path(self.get_finalized_command("build_ext").get_outputs()[0]))
        platform = super().get_tag()[2] if machine is None else f"linux_{machine}"
        return "py3", "none", platform


def _machine(library):
    """What an ELF file runs on, as Linux calls it; None for what is none, on other systems.

    An editable installation asks before anything is built: it is for this machine.
    """
    header = library.read_bytes()[:20] if library.exists() else b""
    if not header.startswith(b"\x7fELF"):
        return None
    return {62: "x86_64", 183: "aarch64"}.get(int.from_bytes(header[18:20], "little"))


setup(
    # `export/` is the device side: it travels in the source distribution, and its library alone
    # in the wheel.
    packages=find_packages(include=["keras_bnn", "keras_bnn.*"]),
    package_data={"keras_bnn.compare": ["*.jinja"]},
    ext_modules=[Extension("keras_bnn.runtime.libkeras_bnn", sources=[])],
    cmdclass={"build_ext": BuildLibrary, "bdist_wheel": PlatformWheel},
)
