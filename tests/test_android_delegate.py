"""BnnDelegate.java and its native side, on this machine's Java.

LiteRT's own Java classes exist for Android alone: `tests/android` has stand-ins for the one
interface that is needed.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.android

TESTS = Path(__file__).parent
EXPORT = TESTS.parent / "export"
SOURCE = EXPORT / "android" / "src" / "main" / "java" / "org" / "kerasbnn" / "BnnDelegate.java"


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    """The folder of a library with the native side in it."""
    home = Path(shutil.which("javac") or "javac").resolve().parent.parent
    folder = tmp_path_factory.mktemp("native")
    headers = f"-I{home}/include -I{home}/include/linux"
    for command in (
        ["cmake", "-S", EXPORT, "-B", folder, "-DKERAS_BNN_JNI=ON", f"-DCMAKE_C_FLAGS={headers}"],
        ["cmake", "--build", folder, "-j2"],
    ):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder


@pytest.fixture(params=["with_close", "without_close"])
def java(request, native, tmp_path):
    """Compiles against a stand-in and runs; returns the lines printed."""
    sources = [SOURCE, TESTS / "android" / "Check.java"]
    stand_in = TESTS / "android" / request.param
    command = ["javac", "--release", "11", "-Xlint:all,-try", "-Werror", "-d", tmp_path]
    subprocess.run([*command, "-sourcepath", stand_in, *sources], check=True)

    def run(**environment):
        command = ["java", f"-Djava.library.path={native}", "-Xcheck:jni", "-cp", tmp_path, "Check"]
        ran = subprocess.run(
            command, env=os.environ | environment, capture_output=True, text=True, check=True
        )
        assert ran.stderr == ""
        return ran.stdout.splitlines()

    return run


def test_a_delegate_lives_until_it_is_closed(java):
    assert java() == [
        "handle true",
        "same true",
        "shared false",
        "second true",
        "This BnnDelegate is closed: make a new one.",
    ]


def test_java_is_told_why_there_is_no_delegate(java):
    (line,) = java(KERAS_BNN_ISA="quantum")
    assert line.startswith("Instruction set 'quantum' is not available here, expected one of: ")
    (line,) = java(KERAS_BNN_MEMORY_LIMIT="much")
    assert line.startswith("KERAS_BNN_MEMORY_LIMIT is 'much', expected a positive integer")


def test_without_an_ndk_jni_has_the_places_of_the_specification(native, tmp_path):
    """`bionic/include/jni.h` declares two functions of a table of over two hundred."""
    own = EXPORT / "android" / "bionic" / "include"
    home = Path(shutil.which("javac") or "javac").resolve().parent.parent / "include"
    program = tmp_path / "places.c"
    program.write_text(
        "#include <jni.h>\n#include <stddef.h>\n#include <stdio.h>\n"
        "typedef struct JNINativeInterface TABLE;\n"
        'int main(void) { printf("%zu %zu\\n", offsetof(TABLE, FindClass), '
        "offsetof(TABLE, ThrowNew)); }\n"
    )
    # The JDK's own name of the table has an underscore behind it.
    jdk = [f"-I{home}", f"-I{home}/linux", "-DJNINativeInterface=JNINativeInterface_"]
    only_jni = tmp_path / "own"
    only_jni.mkdir()
    shutil.copy(own / "jni.h", only_jni)
    places = []
    for flags in ([f"-I{only_jni}"], jdk):
        subprocess.run(["gcc", *flags, program, "-o", tmp_path / "places"], check=True)
        ran = subprocess.run([tmp_path / "places"], capture_output=True, text=True, check=True)
        places.append(ran.stdout)
    assert places[0] == places[1]
