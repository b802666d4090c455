"""How fast this machine may run right now: clock, temperature, throttling, as Linux tells them."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_SYS = Path("/sys")
# What the firmware of a Raspberry Pi reports, by bit; 16 bits higher: since it was switched on.
_FLAGS = {0: "under-voltage", 1: "clock capped", 2: "throttled", 3: "soft temperature limit"}
_SINCE_START = 16


@dataclass(frozen=True)
class MachineState:
    """What a timing depends on; `None` where the system does not tell.

    Attributes:
        megahertz: Of the fastest core at that moment.
        megahertz_limit: The highest that its governor may choose.
        governor: What chooses the clock; several are joined by "/".
        celsius: Of the processor.
        throttled: A Raspberry Pi's flags, as `vcgencmd get_throttled` has them.
    """

    megahertz: int | None
    megahertz_limit: int | None
    governor: str | None
    celsius: float | None
    throttled: int | None

    def cells(self) -> tuple[str, str, str, str]:
        """Clock, governor, temperature and throttling, in words."""
        limit = f" of {self.megahertz_limit}" if self.megahertz_limit else ""
        return (
            "unknown" if self.megahertz is None else f"{self.megahertz}{limit} MHz",
            self.governor or "unknown",
            "unknown" if self.celsius is None else f"{self.celsius:.1f} °C",
            self._throttling(),
        )

    def _throttling(self) -> str:
        if self.throttled is None:
            return "unknown"
        now = [name for bit, name in _FLAGS.items() if self.throttled >> bit & 1]
        before = [
            f"{name} before"
            for bit, name in _FLAGS.items()
            if self.throttled >> (bit + _SINCE_START) & 1 and name not in now
        ]
        return ", ".join(now + before) or "none"


def machine_state() -> MachineState:
    """Reads it."""
    clocks, limits = _of_cores("scaling_cur_freq"), _of_cores("scaling_max_freq")
    temperature = _read(_SYS / "class/thermal/thermal_zone0/temp")
    return MachineState(
        max(map(int, clocks)) // 1000 if clocks else None,
        max(map(int, limits or _of_cores("cpuinfo_max_freq")), default=0) // 1000 or None,
        "/".join(sorted(set(_of_cores("scaling_governor")))) or None,
        int(temperature) / 1000 if temperature else None,
        _throttled(),
    )


def _of_cores(name: str) -> list[str]:
    paths = (_SYS / "devices/system/cpu").glob(f"cpu[0-9]*/cpufreq/{name}")
    return [value for value in map(_read, paths) if value]


def _throttled() -> int | None:
    text = _read(_SYS / "devices/platform/soc/soc:firmware/get_throttled")
    if text is None and (program := shutil.which("vcgencmd")):
        ran = subprocess.run([program, "get_throttled"], capture_output=True, text=True)
        text = ran.stdout.partition("=")[2]
    try:
        return int(text or "", 16)
    except ValueError:
        return None


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip() or None
    except OSError:
        return None
