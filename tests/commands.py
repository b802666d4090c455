"""Running a command, in this process or in one of its own."""

import json
import signal
import subprocess
import sys

from keras_bnn import cli

SCRIPT = "from keras_bnn import cli; cli.main()"


class Ran:
    """Runs a command in this process, and keeps its exit status and what it printed."""

    def __init__(self, monkeypatch, capfd, *arguments):
        monkeypatch.setattr("sys.argv", ["keras-bnn", *map(str, arguments)])
        capfd.readouterr()
        self.status = 0
        try:
            cli.main()
        except SystemExit as end:
            self.status = end.code or 0
        self.out, self.err = capfd.readouterr()

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The one line that wrong input ends in."""
        lines = self.err.strip().splitlines()
        assert self.status == 2, (self.status, self.out, self.err)
        assert len(lines) == 1, self.err
        assert lines[0].startswith("keras-bnn: "), lines
        assert self.out == ""
        return lines[0]


def start(*arguments, script=SCRIPT, **options) -> subprocess.Popen:
    """Starts a command in a process of its own, whose output can be read as text."""
    words = [sys.executable, "-c", script, *map(str, arguments)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(words, text=True, preexec_fn=_heed_ctrl_c, **pipes, **options)


def _heed_ctrl_c() -> None:
    """A shell that starts the tests in the background makes all below them ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
