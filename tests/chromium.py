"""Headless Chromium, spoken to through pipes by its DevTools protocol."""

import base64
import fcntl
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

# Which Chromium reads commands from, and writes answers to.
_COMMANDS, _ANSWERS = 3, 4
_FLAGS = (
    *("--no-sandbox", "--headless=new", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--no-first-run", "--remote-debugging-pipe"),
)


class Chromium:
    """A browser with one open page; a context manager.

    Args:
        profile: A folder of its own.

    Attributes:
        events: What the page has reported, in order: each with its `method` and `params`.
    """

    def __init__(self, profile: Path):
        self._profile = profile
        self.events: list[dict] = []
        self._number = 0
        self._session: str | None = None

    def __enter__(self) -> "Chromium":
        commands, self._to = os.pipe()
        self._from, answers = os.pipe()

        def place_pipes() -> None:
            # Elsewhere first, for each may be where the other has to go.
            spare = [fcntl.fcntl(pipe, fcntl.F_DUPFD, 10) for pipe in (commands, answers)]
            for pipe, number in zip(spare, (_COMMANDS, _ANSWERS), strict=True):
                os.dup2(pipe, number)

        self._process = subprocess.Popen(
            ["chromium", *_FLAGS, f"--user-data-dir={self._profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(_COMMANDS, _ANSWERS),
            preexec_fn=place_pipes,
        )
        os.close(commands)
        os.close(answers)
        self._buffer = b""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")
        return self

    def __exit__(self, *_) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._to)
        os.close(self._from)

    def ask(self, method: str, **params) -> dict:
        """Sends a command and waits for its result; events that come before it are kept."""
        self._number += 1
        command = {"id": self._number, "method": method, "params": params}
        if self._session:
            command["sessionId"] = self._session
        os.write(self._to, json.dumps(command).encode() + b"\0")
        number = self._number
        answer = self._wait(lambda message: message.get("id") == number)
        assert "result" in answer, answer
        return answer["result"]

    def open(self, path: Path, width: int, height: int = 800) -> None:
        """Shows a file in a window of so many CSS pixels, as a phone does that is so wide."""
        size = {"width": width, "height": height, "deviceScaleFactor": 2, "mobile": width < 600}
        self.ask("Emulation.setDeviceMetricsOverride", **size)
        self.events.clear()
        self.ask("Page.navigate", url=path.as_uri())
        if not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._wait(lambda message: message.get("method") == "Page.loadEventFired")

    def value(self, expression: str):
        """What a JavaScript expression comes to."""
        result = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def screenshot(self) -> bytes:
        """The whole page, as PNG."""
        taken = self.ask("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(taken["data"])

    def _wait(self, is_it: Callable[[dict], bool]) -> dict:
        while True:
            while b"\0" not in self._buffer:
                data = os.read(self._from, 1 << 16)
                assert data, "Chromium has ended"
                self._buffer += data
            line, _, self._buffer = self._buffer.partition(b"\0")
            message = json.loads(line)
            if "method" in message:
                self.events.append(message)
            if is_it(message):
                return message
