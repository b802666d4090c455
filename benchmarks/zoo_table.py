"""Writes docs/models.md: what each network of the zoo is, weighs and takes here.

    python benchmarks/zoo_table.py [FOLDER] [--core 0] [--seconds 4] [NAME...]

FOLDER keeps the exported files, which take some minutes to make; NAMEs choose networks, and with
them the table goes to the terminal only. Run it on a quiet machine: a network's two times are of
one run, in turns, on one core.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import keras_bnn as kb
import tensorflow as tf
from keras_bnn.models import ZOO

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
import networks  # noqa: E402
from published_networks import PUBLISHED  # noqa: E402

# Inputs and classes of the networks that are not for ImageNet.
SMALL = {"binarynet": ((28, 28, 1), 10), "keyword_net": ((49, 40, 1), 12)}
SMALL["sensor_net"] = ((128, 9), 6)
SMALL["quicknet_tiny"] = ((28, 28, 1), 10)
HEAD = (
    "network",
    "input",
    "top-1 (published)",
    "parameters (published)",
    "size (published)",
    "binary MACs",
    "float MACs",
    "1-bit layers",
    "file bytes",
    "ms here",
    "ms LCE's best",
    "ratio",
)
TEXT = """# The networks of `keras_bnn.models`

Made by `python benchmarks/zoo_table.py`; the test suite checks the counts against the published
ones. Parameters are all weights, with moving statistics; Larq Zoo's counts of QuickNet and
MeliusNet22 leave out those that an exporter folds away, which is the whole difference. Published
sizes are a bit for a binary weight and 32 for another; Larq Zoo writes MB for MiB. A network's
two times are of one run, in turns, on one core: {where}.

{table}

Published figures are from:

{sources}
"""


@dataclass(frozen=True)
class Entry:
    """One network: its cells, and the machine that its times are from."""

    cells: tuple[str, ...]
    where: str


def exported(name: str, folder: Path):
    """The network's file, its counts, and how many layers are 1-bit of those that are binary."""
    shape, classes = SMALL.get(name, ((224, 224, 3), 1000))
    tf.keras.utils.set_random_seed(0)
    model = networks.with_trained_statistics(ZOO[name](shape, classes))
    written = kb.export.to_tflite(model, folder / f"{name}.tflite")
    binary = [fate.fate for fate in written.layers if fate.meant_binary]
    return written, kb.summary(model), f"{binary.count('1-bit')} of {len(binary)}"


def entry(name: str, folder: Path, seconds: float, core: int | None) -> Entry:
    written, counts, layers = exported(name, folder)
    timed = kb.runtime.benchmark([written.path], seconds=seconds, core=core)
    ours, lce = (
        next(m for m in timed.measurements if m.engine.startswith(engine)).timing.median
        for engine in ("LiteRT", "LCE")
    )
    shape = SMALL.get(name, ((224, 224, 3), 1000))[0]
    known = PUBLISHED.get(name)
    parameters = f"{known.parameters:,}" if known and known.parameters else "—"
    cells = (
        f"`{name}`",
        "×".join(map(str, shape)),
        f"{known.top_1:g} %" if known else "—",
        f"{counts.parameters:,} ({parameters})",
        known.size if known else "—",
        f"{counts.binary_macs:,}",
        f"{counts.float_macs:,}",
        layers,
        f"{written.bytes:,}",
        f"{ours:.2f}",
        f"{lce:.2f}",
        f"{lce / ours:.1f}",
    )
    versions = ", ".join(f"{package} {version}" for package, version in timed.versions.items())
    return Entry(cells, f"{timed.processor}, {timed.instruction_set}, {versions}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path("zoo_files"))
    parser.add_argument("names", nargs="*", help="networks; without any, all of them")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--core", type=int, default=None)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    names = options.names or [name for name in ZOO if not name.endswith("_float")]
    entries = []
    for name in names:
        entries.append(entry(name, options.folder, options.seconds, options.core))
        print(" | ".join(entries[-1].cells), flush=True)
    if options.names:
        return
    rows = [HEAD, ("---",) * len(HEAD), *(each.cells for each in entries)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    sources = "\n".join(f"* `{name}`: {known.source}" for name, known in PUBLISHED.items())
    path = ROOT / "docs" / "models.md"
    path.parent.mkdir(exist_ok=True)
    path.write_text(TEXT.format(table=table, where=entries[0].where, sources=sources))


if __name__ == "__main__":
    main()
