"""Fills in the tables of docs/packing.md: what becomes of each row's layers, and their times.

    python benchmarks/packing.py [--seconds 1]

The first cell of a row is Python, in the words of the page's code blocks. The times of one table
are of one run, in turns, on one thread, and each is the shortest of its row: what disturbs a run
makes it longer. `--seconds` is for each row.
"""

import argparse
import os
import re
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import keras_bnn as kb
import numpy as np
import tensorflow as tf
from keras_bnn.runtime import machine, native
from keras_bnn.runtime.timing import time_side_by_side

PAGE = Path(__file__).resolve().parent.parent / "docs" / "packing.md"
CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)
TABLE = re.compile(r"(?<=<!-- packing -->\n).*?(?=<!-- end -->)", re.DOTALL)
MACHINE = re.compile(r"(?<=<!-- machine -->).*?(?=<!-- end -->)", re.DOTALL)
IMAGE = np.random.default_rng(0).normal(size=(1, 56, 56, 64)).astype(np.float32)
TIME = "µs"
NONE = "—"


@dataclass(frozen=True)
class Table:
    """A table of the page.

    Attributes:
        columns: Names of its columns, `layers` first.
        rows: The cells of each row; the first without its backticks.
    """

    columns: list[str]
    rows: list[list[str]]

    @classmethod
    def read(cls, text: str) -> "Table":
        columns, _, *rows = [
            [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            for line in text.strip().splitlines()
        ]
        return cls(columns, [[row[0].strip("`"), *row[1:]] for row in rows])

    def __str__(self) -> str:
        rule = ["---"] * len(self.columns)
        rows = [[f"`{row[0]}`", *row[1:]] for row in self.rows]
        return "".join(f"| {' | '.join(cells)} |\n" for cells in [self.columns, rule, *rows])


def words(page: str) -> dict:
    """What the page's code blocks define."""
    names: dict = {}
    for block in CODE.findall(page):
        exec(compile(block, str(PAGE), "exec"), names)
    return names


def tables(page: str) -> list[Table]:
    """The tables of the page."""
    return [Table.read(text) for text in TABLE.findall(page)]


def exported(layers: str, names: dict, path: Path) -> dict[str, str]:
    """Exports the network of a row; returns its cells by column, without the times."""
    tf.keras.backend.clear_session()
    tf.keras.utils.set_random_seed(0)
    model = eval(f"network({layers})", dict(names))
    with_trained_weights(model)
    try:
        kb.export.to_tflite(model, path)
    except kb.export.ExportError as error:
        reason = str(error).partition("): ")[2]
        return {"handed on": NONE, "between": f"refused: {reason}", "1-bit weights, bytes": NONE}
    return cells(path)


def with_trained_weights(model) -> None:
    """Makes weights that start as zeros others: a file leaves out what adds nothing."""
    generator = np.random.default_rng(0)
    for weight in model.weights:
        if not weight.numpy().any():
            weight.assign(generator.normal(size=weight.shape))


def cells(path: Path) -> dict[str, str]:
    """What a row says of a file with two binary layers or more."""
    graph = kb.tflite.Graph(kb.tflite.read(path))
    names = [operator.name for operator in graph.operators]
    first = names.index("LceBconv2d")
    last = len(names) - names[::-1].index("LceBconv2d")
    between = [f"`{name}`" for name in names[first:last] if name != "LceBconv2d"]
    output = graph.tensor(graph.operators[first].outputs[0])
    kind = "bits" if output.type == "int32" else output.type
    size = int(np.prod(output.shape)) * output.dtype.itemsize
    return {
        "handed on": f"{kind}, {size:,} bytes",
        "between": ", ".join(between) or "nothing",
        "1-bit weights, bytes": f"{kb.tflite.describe(path).bytes['1-bit']:,}",
    }


def measured(table: Table, names: dict, folder: Path, seconds: float) -> Table:
    """The table with all its cells."""
    found, calls = {}, {}
    for number, (layers, *_) in enumerate(table.rows):
        path = folder / f"{number}.tflite"
        found[layers] = exported(layers, names, path)
        if path.exists():
            calls[layers] = partial(kb.runtime.Interpreter(path).predict, IMAGE)
            calls[layers]()
    timings = time_side_by_side(calls, seconds * len(calls))
    rows = []
    for layers, made in found.items():
        made[TIME] = f"{1e3 * timings[layers].minimum:.0f}" if layers in timings else NONE
        rows.append([layers, *(made[column] for column in table.columns[1:])])
    return Table(table.columns, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1.0)
    seconds = parser.parse_args().seconds
    page = PAGE.read_text()
    filled = []
    with tempfile.TemporaryDirectory() as temporary:
        os.chdir(temporary)  # where the page's code writes
        names = words(page)
        for number, table in enumerate(tables(page)):
            folder = Path(temporary, str(number))
            folder.mkdir()
            filled.append(str(measured(table, names, folder, seconds)))
            print(filled[-1], flush=True)
    page = TABLE.sub(lambda _: filled.pop(0), page)
    where = f"{machine.processor()}, {native.instruction_set()}"
    PAGE.write_text(MACHINE.sub(where, page, count=1))


if __name__ == "__main__":
    main()
