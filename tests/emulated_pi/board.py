"""Writes what a Raspberry Pi's Linux says about its processor: /proc/cpuinfo and parts of /sys.

python board.py pi4|pi5|pizero2 FOLDER

XNNPACK and cpuinfo choose kernels by it, and `keras_bnn` reports it.
"""

import dataclasses
import sys
from pathlib import Path

CORES = range(4)


@dataclasses.dataclass(frozen=True)
class Cache:
    level: int
    kind: str
    size: str
    shared: bool = False


@dataclasses.dataclass(frozen=True)
class Board:
    """What its Linux reports; `variant`, `part` and `revision` are the core's, speeds in kHz."""

    model: str
    variant: str
    part: str
    revision: str
    features: str
    slowest: int
    fastest: int
    caches: tuple[Cache, ...]


ARMV8_0 = "fp asimd evtstrm crc32 cpuid"
ARMV8_2 = (
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop "
    "asimddp"
)


def first_level(data: str, instruction: str) -> tuple[Cache, Cache]:
    return Cache(1, "Data", data), Cache(1, "Instruction", instruction)


BOARDS = {
    "pi4": Board(
        model="Raspberry Pi 4 Model B Rev 1.4",
        variant="0x0",
        part="0xd08",
        revision="3",
        features=ARMV8_0,
        slowest=600_000,
        fastest=1_800_000,
        caches=(*first_level("32K", "48K"), Cache(2, "Unified", "1024K", shared=True)),
    ),
    "pi5": Board(
        model="Raspberry Pi 5 Model B Rev 1.0",
        variant="0x4",
        part="0xd0b",
        revision="1",
        features=ARMV8_2,
        slowest=1_500_000,
        fastest=2_400_000,
        caches=(
            *first_level("64K", "64K"),
            Cache(2, "Unified", "512K"),
            Cache(3, "Unified", "2048K", shared=True),
        ),
    ),
    "pizero2": Board(
        model="Raspberry Pi Zero 2 W Rev 1.0",
        variant="0x0",
        part="0xd03",
        revision="4",
        features=ARMV8_0,
        slowest=600_000,
        fastest=1_000_000,
        caches=(*first_level("32K", "32K"), Cache(2, "Unified", "512K", shared=True)),
    ),
}


def cpuinfo(board: Board) -> str:
    core = (
        "processor\t: {index}\n"
        "BogoMIPS\t: 108.00\n"
        f"Features\t: {board.features}\n"
        "CPU implementer\t: 0x41\n"
        "CPU architecture: 8\n"
        f"CPU variant\t: {board.variant}\n"
        f"CPU part\t: {board.part}\n"
        f"CPU revision\t: {board.revision}\n\n"
    )
    return "".join(core.format(index=index) for index in CORES) + f"Model\t\t: {board.model}\n"


def core_files(board: Board, core: int) -> dict[str, str | int]:
    everyone = f"{CORES[0]}-{CORES[-1]}"
    files: dict[str, str | int] = {
        "topology/physical_package_id": 0,
        "topology/cluster_id": 0,
        "topology/core_id": core,
        "cpufreq/cpuinfo_min_freq": board.slowest,
        "cpufreq/cpuinfo_max_freq": board.fastest,
        "cpufreq/scaling_cur_freq": board.slowest,
        "cpufreq/scaling_governor": "ondemand",
    }
    files |= {f"topology/{name}_list": core for name in ("thread_siblings", "core_cpus")}
    for name in ("core_siblings", "cluster_cpus", "package_cpus"):
        files[f"topology/{name}_list"] = everyone
    for index, cache in enumerate(board.caches):
        files |= {
            f"cache/index{index}/level": cache.level,
            f"cache/index{index}/size": cache.size,
            f"cache/index{index}/type": cache.kind,
            f"cache/index{index}/coherency_line_size": 64,
            f"cache/index{index}/shared_cpu_list": everyone if cache.shared else core,
        }
    return files


def system_files(board: Board) -> dict[str, str | int]:
    files: dict[str, str | int] = {
        "class/thermal/thermal_zone0/type": "cpu-thermal",
        "class/thermal/thermal_zone0/temp": 48_000,
        "devices/platform/soc/soc:firmware/get_throttled": 0,
        "devices/system/cpu/kernel_max": 255,
    }
    for name in ("present", "possible", "online"):
        files[f"devices/system/cpu/{name}"] = f"{CORES[0]}-{CORES[-1]}"
    for core in CORES:
        for name, value in core_files(board, core).items():
            files[f"devices/system/cpu/cpu{core}/{name}"] = value
    return files


def main(name: str, folder: Path) -> None:
    board = BOARDS[name]
    files = {f"sys/{name}": f"{value}\n" for name, value in system_files(board).items()}
    # /proc/device-tree is a link to there. Its strings end in 0 and not in a line break.
    files["sys/firmware/devicetree/base/model"] = f"{board.model}\0"
    files["proc/cpuinfo"] = cpuinfo(board)
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
