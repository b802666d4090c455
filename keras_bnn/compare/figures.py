"""The figures of a report, as SVG to be put into a page: no script, no file, no request."""

import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_bnn.compare.network import BINARY, FLOAT32, INT8, Network
from keras_bnn.compare.pareto import pareto_front

try:
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
except ImportError as error:
    raise ImportError(
        "A comparison is drawn with matplotlib, which is not installed. Run: "
        'pip install "keras-bnn[train]"'
    ) from error

# Inches of 96 CSS pixels: about a phone's width, so that fonts have their size there.
_WIDTH = 3.6
_STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: small, to be searched and read out
    "svg.hashsalt": "keras-bnn",  # the same figures give the same bytes
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.edgecolor": "#667",
    "grid.color": "#e3e6ea",
    "legend.frameon": False,
}
# Okabe and Ito's, which people with any colour vision tell apart.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_MARKERS = {BINARY: "o", FLOAT32: "s", INT8: "^"}


def accuracy_against(
    networks: Sequence[Network], costs: Sequence[float], axis: str, unit: Callable[[float], str]
) -> str:
    """A point a network, with one standard deviation of the seeds, and the Pareto front.

    Args:
        networks: What to draw.
        costs: Of each, above 0; on a logarithmic axis.
        axis: What the costs are.
        unit: A cost in words.
    """

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        accuracies = [100 * network.accuracy for network in networks]
        front = pareto_front(list(zip(costs, accuracies, strict=True)))
        # From one network on the front to the next, nothing more accurate costs less.
        axes.step(
            [costs[i] for i in front],
            [accuracies[i] for i in front],
            where="post",
            color="#99a",
            linestyle="--",
            linewidth=1,
            label="Pareto front",
        )
        for index, (network, cost) in enumerate(zip(networks, costs, strict=True)):
            axes.errorbar(
                cost,
                accuracies[index],
                yerr=100 * (network.spread or 0),
                fmt=_MARKERS[network.precision],
                color=_colour(index),
                capsize=3,
                markersize=7,
                label=network.name,
            )
        axes.set_xscale("log")
        axes.set_xlim(min(costs) / 1.6, max(costs) * 1.6)
        axes.xaxis.set_major_locator(LogLocator(subs=_ticks(costs)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: unit(value)))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(axis)
        axes.set_ylabel("test accuracy, %")
        figure.legend(loc="outside lower left", ncols=2 if len(networks) > 3 else 1)

    return _svg(draw, f"Test accuracy against {axis}", 2.7 + 0.1 * len(networks))


def learning_curves(networks: Sequence[Network]) -> str:
    """Validation accuracy after each epoch: the mean over the seeds, and from least to most."""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for index, network in enumerate(networks):
            curves = _curves(network)
            epochs = np.arange(1, curves.shape[1] + 1)
            style = {"color": _colour(index), "linewidth": 1.5}
            marker = "." if len(epochs) == 1 else None
            axes.plot(epochs, curves.mean(axis=0), **style, marker=marker, label=network.name)
            axes.fill_between(
                epochs, curves.min(axis=0), curves.max(axis=0), color=style["color"], alpha=0.15
            )
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("epoch")
        axes.set_ylabel("validation accuracy, %")
        figure.legend(loc="outside lower left", ncols=2 if len(networks) > 3 else 1)

    return _svg(draw, "Validation accuracy after each epoch", 2.7 + 0.1 * len(networks))


def confusion(network: Network, label_names: Sequence[str]) -> str:
    """What share of each class is taken for which, of all seeds together, in percent."""
    counts = np.sum([file.confusion for file in network.files], axis=0)
    percent = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    few = len(label_names) <= 20

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.grid(False)
        axes.pcolormesh(percent, cmap="Blues", vmin=0, vmax=100, edgecolors="#eef", linewidth=0.5)
        axes.set_aspect("equal")
        axes.invert_yaxis()
        if few:
            places = np.arange(len(label_names)) + 0.5
            is_long = max(map(len, label_names)) > 2
            axes.set_xticks(places, label_names, rotation=90 if is_long else 0)
            axes.set_yticks(places, label_names)
            _write_cells(axes, percent)
        axes.tick_params(length=0)
        axes.set_xlabel("taken for")
        axes.set_ylabel("is")

    return _svg(draw, f"Confusion matrix of {network.name}", 3.5)


def _write_cells(axes, percent: np.ndarray) -> None:
    for (row, column), value in np.ndenumerate(percent):
        if value >= 0.5:
            axes.text(
                column + 0.5,
                row + 0.5,
                f"{value:.0f}",
                ha="center",
                va="center",
                fontsize=7.5,
                color="white" if value > 55 else "#223",
            )


def _curves(network: Network) -> np.ndarray:
    """Of shape (seeds, epochs), in percent; a run that a callback ended cuts the others."""
    runs = [run.epochs for run in network.runs if run.epochs]
    length = min(map(len, runs))
    values = [[epoch["val_accuracy"] for epoch in run[:length]] for run in runs]
    return 100 * np.array(values, float)


def _ticks(costs: Sequence[float]) -> tuple[float, ...]:
    return (1.0,) if max(costs) / min(costs) > 30 else (1.0, 2.0, 5.0)


def _colour(index: int) -> str:
    return _COLOURS[index % len(_COLOURS)]


def _svg(draw: Callable[[Figure], Any], title: str, height: float) -> str:
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        draw(figure)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    return _for_page(file.getvalue(), title)


def _for_page(svg: str, title: str) -> str:
    """The element alone, as wide as the page lets it be, its identifiers its own."""
    element = svg[svg.index("<svg") :]
    element = re.sub(r"\s*<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    head, _, rest = element.partition(">")
    head = re.sub(r'\s(width|height)="[^"]*"', "", head)
    prefix = re.sub(r"\W+", "-", title.lower())
    rest = re.sub(r'\bid="', f'id="{prefix}-', rest)
    rest = re.sub(r'(url\(|href=")#', rf"\1#{prefix}-", rest)
    return f'{head} role="img" aria-label="{title}">{rest}'
