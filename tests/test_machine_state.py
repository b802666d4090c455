"""What a machine says of its clock, temperature and throttling."""

import pytest

from keras_bnn.runtime import machine_state as module
from keras_bnn.runtime.machine_state import MachineState, machine_state

THROTTLED = "devices/platform/soc/soc:firmware/get_throttled"


@pytest.fixture
def sysfs(tmp_path, monkeypatch):
    """Writes files below /sys, of which there are no others."""
    monkeypatch.setattr(module, "_SYS", tmp_path)
    monkeypatch.setattr(module.shutil, "which", lambda name: None)

    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")

    return write


def test_a_board(sysfs):
    for core, clock in enumerate((600000, 1800000)):
        cpufreq = f"devices/system/cpu/cpu{core}/cpufreq"
        sysfs(f"{cpufreq}/scaling_cur_freq", clock)
        sysfs(f"{cpufreq}/scaling_max_freq", 2400000)
        sysfs(f"{cpufreq}/scaling_governor", "ondemand")
    sysfs("class/thermal/thermal_zone0/temp", 61234)
    sysfs(THROTTLED, "50005")
    state = machine_state()
    assert state == MachineState(1800, 2400, "ondemand", 61.234, 0x50005)
    assert state.cells() == (
        "1800 of 2400 MHz",
        "ondemand",
        "61.2 °C",
        "under-voltage, throttled",
    )


def test_a_machine_that_tells_nothing(sysfs):
    assert machine_state() == MachineState(None, None, None, None, None)
    assert machine_state().cells() == ("unknown",) * 4


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("0", "none"),
        ("1", "under-voltage"),
        ("e0008", "soft temperature limit, clock capped before, throttled before"),
        ("10000", "under-voltage before"),
        ("", "unknown"),
        ("?", "unknown"),
    ],
)
def test_throttling(sysfs, flags, words):
    sysfs(THROTTLED, flags)
    assert machine_state().cells()[3] == words


def test_vcgencmd_where_the_kernel_does_not_tell(sysfs, monkeypatch, tmp_path):
    program = tmp_path / "vcgencmd"
    program.write_text('#!/bin/sh\n[ "$1" = get_throttled ] && echo throttled=0x50000\n')
    program.chmod(0o755)
    monkeypatch.setattr(module.shutil, "which", lambda name: str(program))
    assert machine_state().throttled == 0x50000
    program.write_text("#!/bin/sh\necho VCHI initialization failed >&2\nexit 1\n")
    assert machine_state().throttled is None
