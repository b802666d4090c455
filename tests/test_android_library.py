"""libkeras_bnn.so for Android: built without an NDK, what the checks of it find, and run elsewhere.

Android's own C library runs only on Android. Here glibc stands in for it, so this shows that the
code is right, and nothing of Android's linker.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.android

ROOT = Path(__file__).parent.parent
ANDROID = ROOT / "export" / "android"
CHECK = ROOT / ".ci" / "check_android.py"


def build(folder, **environment):
    command = [ANDROID / "build.sh", folder]
    subprocess.run(command, env=os.environ | environment, check=True, stdout=subprocess.DEVNULL)
    return folder / "libkeras_bnn.so"


def faults(library):
    ran = subprocess.run([sys.executable, CHECK, library], capture_output=True, text=True)
    found = ran.stderr.splitlines()
    assert bool(found) == bool(ran.returncode), ran
    return [line.removeprefix(f"{library} ") for line in found]


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return build(tmp_path_factory.mktemp("android"))


def test_android_loads_what_is_built_without_an_ndk(library):
    assert faults(library) == []


def test_an_ndk_is_used_where_one_is_named(tmp_path):
    """As far as that goes without one: its toolchain file, with the options that it reads."""
    toolchain = tmp_path / "ndk" / "build" / "cmake" / "android.toolchain.cmake"
    toolchain.parent.mkdir(parents=True)
    toolchain.write_text(
        f'file(APPEND {tmp_path}/asked "${{ANDROID_ABI}} ${{ANDROID_PLATFORM}}\\n")\n'
        f"include({ANDROID}/without_ndk.cmake)\n"
    )
    assert faults(build(tmp_path, ANDROID_NDK_HOME=str(tmp_path / "ndk"))) == []
    # CMake reads it more than once, and not always with options.
    assert "arm64-v8a android-26\n" in (tmp_path / "asked").read_text()


ENTRIES = "tflite_plugin_create_delegate tflite_plugin_destroy_delegate " + " ".join(
    f"Java_org_kerasbnn_BnnDelegate_{name}" for name in ("create", "destroy")
)
SOUND = "".join(f"void {name}(void) {{}}\n" for name in ENTRIES.split())
SONAME = "-Wl,-soname,libkeras_bnn.so"
PAGES = "-Wl,-z,max-page-size=16384"


@pytest.mark.parametrize(
    ("source", "flags", "expected"),
    [
        (SOUND, [SONAME, PAGES], []),
        (SOUND, [PAGES], ["does not call itself libkeras_bnn.so."]),
        (SOUND, [SONAME, PAGES, "-Wl,-z,execstack"], ["wants an executable stack."]),
        (
            SOUND + "void puts(const char *); void f(void) { puts(0); }\n",
            [SONAME, PAGES],
            ["asks for puts, which is not known to be there in API 26."],
        ),
        (
            SOUND + "_Thread_local int x; int *f(void) { return &x; }\n",
            [SONAME, PAGES, "-fno-emulated-tls", "-ftls-model=local-dynamic"],
            ["has thread-local storage."],
        ),
        (
            SOUND + 'int x; int *p __attribute__((section(".text"))) = &x;\n',
            [SONAME, PAGES, "-Wl,-z,notext", "-Wno-everything"],
            ["has text relocations.", "has code that can be written to."],
        ),
        (
            "",
            [SONAME, PAGES],
            [f"does not offer {name}." for name in sorted(ENTRIES.split())],
        ),
    ],
)
def test_what_android_would_refuse_is_found(tmp_path, source, flags, expected):
    target = ["clang-14", "--target=aarch64-linux-android26", "-fuse-ld=lld", "-nostdlib"]
    code, library = tmp_path / "code.c", tmp_path / "libkeras_bnn.so"
    code.write_text(source)
    command = [*target, "-shared", "-fPIC", "-O1", *flags, code, "-o", library]
    subprocess.run(command, check=True)
    found = [fault for fault in faults(library) if "__tls_get_addr" not in fault]
    assert found == expected


def test_what_is_for_linux_is_refused(tmp_path):
    from keras_bnn.runtime import native

    found = faults(native.library_path())
    assert any(fault.startswith("is for EM_X86_64") for fault in found)
    assert any(fault.startswith("needs ['libc.so.6'") for fault in found)


def test_pages_of_4_kib_are_refused(tmp_path):
    library = tmp_path / "libkeras_bnn.so"
    target = ["clang-14", "--target=aarch64-linux-android26", "-fuse-ld=lld", "-nostdlib"]
    (tmp_path / "code.c").write_text(SOUND)
    flags = ["-shared", SONAME, "-Wl,-z,max-page-size=4096"]
    subprocess.run([*target, *flags, tmp_path / "code.c", "-o", library], check=True)
    assert set(faults(library)) == {"has a segment aligned to 4096 bytes, not 16384."}


def test_it_computes_what_it_should(library, tmp_path):
    program = tmp_path / "convolution"
    compile = ["aarch64-linux-gnu-gcc", f"-I{ROOT / 'export' / 'include'}"]
    # What the library takes from Android's libraries is glibc's, behind their names.
    for name in ("c", "m"):
        empty = [*compile, "-shared", "-nostartfiles", "-Wl,--no-as-needed", "-x", "c", "/dev/null"]
        target = ["-o", library.parent / f"lib{name}.so", f"-Wl,-soname,lib{name}.so"]
        subprocess.run([*empty, *target], check=True)
    example = ROOT / "examples" / "binary_convolution.c"
    command = [*compile, example, library, "-Wl,--allow-shlib-undefined", "-o", program]
    subprocess.run(command, check=True)
    emulator = ["qemu-aarch64", "-cpu", "cortex-a53", "-L", "/usr/aarch64-linux-gnu"]
    command = [*emulator, "-E", f"LD_LIBRARY_PATH={library.parent}", program]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    assert ran.stdout.split() == ["6.5", "2.5", "-5.5"]
