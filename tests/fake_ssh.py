"""A stand-in for `ssh` on PATH, for boards that the emulated one cannot be."""

import json
import os
import sys
from pathlib import Path

SCRIPT = f"""#!{sys.executable} -IS
import json, os, sys
folder = os.path.dirname(os.path.abspath(__file__))
with open(folder + "/asked.jsonl", "a") as asked:
    asked.write(json.dumps(sys.argv[1:]) + chr(10))
answer = json.load(open(folder + "/answer.json"))
connecting = "ControlMaster=yes" in sys.argv
sys.stderr.write(answer["stderr"])
if connecting and not answer["connects"]:
    sys.exit(255)
if connecting:
    print("Welcome to the board", "keras-bnn is connected", sep=chr(10), flush=True)
given = sys.stdin.buffer.read()
if not connecting:
    later = answer["later"]
    if isinstance(later, dict):
        asked = (text for do, text in later.items() if b'{{"do": "%s"' % do.encode() in given)
        later = next(asked, '{{"answer": null}}')
    looks = later is None or "uname" in sys.argv[-1]
    sys.stdout.write(answer["stdout"] if looks else later)
    sys.exit(answer["status"])
"""


class FakeSsh:
    """Answers as it was told, and keeps how it was called.

    Attributes:
        path: The variable `PATH` that puts it first.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        program = folder / "ssh"
        program.write_text(SCRIPT)
        program.chmod(0o755)
        self.path = f"{folder}{os.pathsep}{os.environ['PATH']}"

    def answer(self, stdout="", stderr="", status=0, connects=True, later=None) -> None:
        """What it prints, `later` if it is not asked what it is, and whether there is a board.

        `later` may be a dictionary, from what the board is asked to do.
        """
        answer = {"stdout": stdout, "stderr": stderr, "status": status, "connects": connects}
        answer["later"] = later
        (self._folder / "answer.json").write_text(json.dumps(answer))

    @property
    def asked(self) -> list[list[str]]:
        """The arguments of each call."""
        lines = (self._folder / "asked.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]
