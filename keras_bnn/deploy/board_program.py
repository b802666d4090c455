"""Runs on the board, with its own Python and nothing installed: `board.py` sends it as text.

A request is one line of JSON on standard input, behind this text; the bytes of files may follow.
The reply is the last line on standard output: `{"answer": …}`, or `{"error": …}` in one sentence.

Everything lies in `~/.keras-bnn`. Whatever changes it holds a lock, which ends with the process, so
all that has a temporary name when a process gets the lock was left by one that was cut off.
"""

import contextlib
import errno
import fcntl
import hashlib
import importlib.util
import json
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HOME = Path.home() / ".keras-bnn"
# Files by the SHA-256 of their content: what is there is whole, and need not be sent again.
STORE = HOME / "store"
ENVIRONMENTS = HOME / "environments"
# A link to the environment in use.
ENVIRONMENT = HOME / "environment"
# Deployed files by their own names.
MODELS = HOME / "models"
LAUNCHER = HOME / "keras-bnn"
UNFINISHED = HOME / "unfinished"

# Seconds without a byte after which a sender is taken for lost, and for another process to end.
SILENCE = 60
PATIENCE = 900
# Bytes; less than the least that pip unpacks.
FULL = 10_000_000


class Failure(Exception):
    """What ends a request; the message is one sentence for the user."""


def look():
    """What the board is, and what it has of us already."""
    return {
        "bits": 64 if sys.maxsize > 2**32 else 32,
        "libc": platform.libc_ver(),
        # Debian leaves ensurepip out of its Python, and venv needs it.
        "venv": all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")),
        "home": str(HOME),
        "free": _free(),
        "environments": _names(ENVIRONMENTS),
        "environment": ENVIRONMENT.resolve().name if ENVIRONMENT.exists() else None,
        "store": _names(STORE),
        "busy": _is_busy(),
    }


def _free():
    return shutil.disk_usage(next(path for path in (HOME, *HOME.parents) if path.exists())).free


def _names(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def _is_busy():
    try:
        with (HOME / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


@contextlib.contextmanager
def _locked():
    """Yields an empty folder for what is not finished, while nobody else changes anything."""
    HOME.mkdir(exist_ok=True)
    with (HOME / "lock").open("w") as lock:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise Failure(
                        f"another keras-bnn has been at work there for {PATIENCE} s: end it, and "
                        "run this again."
                    ) from None
                time.sleep(0.2)
        shutil.rmtree(UNFINISHED, ignore_errors=True)
        UNFINISHED.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=UNFINISHED, ignore_cleanup_errors=True) as folder:
            yield Path(folder)


def receive(files):
    """Takes files from standard input: their names in the store, sizes and SHA-256."""
    with _locked() as folder:
        STORE.mkdir(exist_ok=True)
        for file in files:
            path = folder / file["name"]
            if _copy(path, file["size"]) != file["sha256"]:
                raise Failure(f"{file['name']} arrived damaged: run this again.")
            path.replace(STORE / file["name"])


def _copy(path, size):
    digest = hashlib.sha256()
    with path.open("wb") as file:
        while size:
            # Ends this process, and so its lock, where the sender is gone and nobody told us.
            signal.alarm(SILENCE)
            chunk = sys.stdin.buffer.read(min(size, 1 << 16))
            signal.alarm(0)
            if not chunk:
                raise Failure("the connection ended in the middle of a file.")
            digest.update(chunk)
            file.write(chunk)
            size -= len(chunk)
        # A board that loses power may otherwise have the name without the content.
        os.fsync(file)
    return digest.hexdigest()


def install(environment, wheels, offline):
    """Makes an environment of that name, if there is none, and puts it to use.

    Args:
        environment: Its name; the same name means the same content.
        wheels: Files in the store, as (stored name, name of the wheel), ours first.
        offline: Whether they are all there is; else pip may fetch the dependencies.
    """
    with _locked() as folder:
        target = ENVIRONMENTS / environment
        is_new = not target.exists()
        if is_new:
            if not all((STORE / stored).exists() for stored, _ in wheels):
                raise Failure("another keras-bnn has replaced what was sent: run this again.")
            ENVIRONMENTS.mkdir(exist_ok=True)
            built = _build(folder, wheels, offline)
            os.sync()
            built.rename(target)
        link = folder / "link"
        link.symlink_to(target)
        link.replace(ENVIRONMENT)
        launcher = folder / "launcher"
        # Not pip's script, which names the folder in which pip ran.
        python = shlex.quote(str(ENVIRONMENT / "bin" / "python"))
        launcher.write_text(f'#!/bin/sh\nexec {python} -m keras_bnn "$@"\n')
        launcher.chmod(0o755)
        launcher.replace(LAUNCHER)
        if is_new:
            _forget_others(folder, environment, wheels)


def _forget_others(folder, environment, wheels):
    """Removes other environments and wheels, all at once: half of one would pass for whole."""
    for name in _names(ENVIRONMENTS):
        if name != environment:
            (ENVIRONMENTS / name).rename(folder / name)
    needed = [stored for stored, _ in wheels]
    for path in STORE.glob("*.whl"):
        if path.name not in needed:
            path.unlink()


def _build(folder, wheels, offline):
    environment, files = folder / "environment", folder / "wheels"
    _succeed("making a virtual environment", [sys.executable, "-m", "venv", str(environment)])
    files.mkdir()
    # pip reads versions and platforms from names.
    for stored, name in wheels:
        (files / name).symlink_to(STORE / stored)
    # Python compiles what it imports; all of it takes minutes on a small board.
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--no-compile"]
    pip += ["--no-input", "--disable-pip-version-check", *(["--no-index"] if offline else [])]
    remedy = "" if offline else " If it has no internet, add --offline."
    _succeed("installing", [*pip, *(str(files / name) for _, name in wheels)], remedy)
    return environment


def _succeed(what, command, remedy=""):
    ran = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
    )
    _check_signal(what, ran)
    if ran.returncode:
        lines = [line for line in (ran.stdout + ran.stderr).splitlines() if line.strip()]
        errors = [line for line in lines if "error" in line.lower()] or lines or ["no reason given"]
        full = os.strerror(errno.ENOSPC)
        # venv hides what the pip that it starts has said.
        if any(full in line for line in lines) or _free() < FULL:
            raise OSError(errno.ENOSPC, full)
        raise Failure(f"{what} failed there: {errors[-1].strip()}.{remedy}")


def _check_signal(what, ran):
    if ran.returncode < 0:
        name = signal.Signals(-ran.returncode).name
        raise Failure(f"{what} was ended by {name}{_WHY_ENDED.get(name, '')}.")


def place(files):
    """Gives files of the store, as (stored name, own name), their own names; returns the paths."""
    with _locked() as folder:
        MODELS.mkdir(exist_ok=True)
        paths = []
        for number, (stored, name) in enumerate(files):
            temporary = folder / str(number)
            # No link: whoever changes that file would change what the store calls whole.
            shutil.copyfile(STORE / stored, temporary)
            temporary.replace(MODELS / name)
            paths.append(str(MODELS / name))
    return paths


def measure(environment, files, options):
    """Runs `keras-bnn benchmark` on files of the store, as (stored name, shown name)."""
    python = ENVIRONMENTS / environment / "bin" / "python"
    with _locked() as folder:
        if not python.exists():
            raise Failure("another keras-bnn has replaced the environment: run this again.")
        for stored, name in files:
            (folder / name).symlink_to(STORE / stored)
        command = [str(python), "-m", "keras_bnn", "benchmark", *(name for _, name in files)]
        ran = subprocess.run(
            [*command, "--json", *options],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
    _check_signal("the benchmark", ran)
    if ran.returncode:
        lines = ran.stderr.strip().splitlines() or ["no reason given"]
        raise Failure(lines[-1].removeprefix("keras-bnn: "))
    return json.loads(ran.stdout)


_WHY_ENDED = {
    "SIGKILL": ", as happens when memory runs out",
    "SIGILL": ", an instruction that this processor lacks",
}


def main():
    """Does what the request says."""
    request = json.loads(sys.stdin.buffer.readline())
    do = {call.__name__: call for call in (look, receive, install, place, measure)}
    try:
        reply = {"answer": do[request.pop("do")](**request)}
    except Failure as error:
        reply = {"error": str(error)}
    except OSError as error:
        reply = {"error": _reason(error)}
    print(json.dumps(reply))


def _reason(error):
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return f"{error}."
    return (
        f"the disk of {HOME} is full ({_free() / 1e6:.0f} MB free): free some space, and run this "
        "again."
    )


if __name__ == "__main__":
    main()
