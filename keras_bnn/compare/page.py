"""The page of a comparison: one file with all that it shows, for a phone as for a desk."""

from typing import Any

from keras_bnn.compare import figures
from keras_bnn.compare.answer import rule
from keras_bnn.compare.measurements import HERE
from keras_bnn.compare.network import BINARY, INT8
from keras_bnn.compare.table import table

try:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup
except ImportError as error:
    raise ImportError(
        "The page of a comparison is made with Jinja2, which is not installed. Run: "
        'pip install "keras-bnn[train]"'
    ) from error


def page(comparison: Any) -> str:
    """The HTML of a `Comparison`. It asks for nothing else: no script, no font, no image."""
    environment = Environment(
        loader=PackageLoader("keras_bnn.compare", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    networks = comparison.networks
    curves = [n for n in networks if n.precision != INT8 and all(run.epochs for run in n.runs)]
    head, *rows = table(comparison)
    return environment.get_template("report.html.jinja").render(
        comparison=comparison,
        binary=[network for network in networks if network.precision == BINARY],
        head=head,
        rows=rows,
        rule=rule(comparison.answer.tolerance),
        plots=[Markup(plot) for plot in _plots(comparison)],
        curves=Markup(figures.learning_curves(curves)) if curves else None,
        notes=_notes(comparison),
        confusions=[
            (network.name, Markup(figures.confusion(network, comparison.label_names)))
            for network in networks
        ],
    )


def _plots(comparison: Any) -> list[str]:
    networks = comparison.networks
    sizes = [network.bytes for network in networks]
    plots = [figures.accuracy_against(networks, sizes, "size of the file", _bytes)]
    for index, place in enumerate(comparison.benchmarks):
        times = [network.latencies[index].milliseconds for network in networks]
        where = place if place == HERE else f"on {place}"
        axis = f"time for one image {where}, ms"
        plots.append(figures.accuracy_against(networks, times, axis, "{:g}".format))
    return plots


def _notes(comparison: Any) -> list[str]:
    networks = comparison.networks
    seeds = len(networks[0].files)
    known = networks[0].runs[0].epochs is not None
    notes = [
        f"Accuracy is that of the exported files on {comparison.test_examples:,} test examples, "
        f"each of which is {100 / comparison.test_examples:.2g} points. They chose nothing.",
        f"{seeds} {'training' if seeds == 1 else 'trainings'} of each network. Bytes, activations, "
        "MACs and milliseconds are those of the first one's file; the others hold the same "
        "operators.",
        "int8 is the float32 twin, quantized after training by TensorFlow: a scale a channel, "
        "ranges of activations from 256 training examples.",
    ]
    if known:
        notes.append(
            "The twins were trained as long as the binary networks and with the same settings, "
            "which may not be the best for them. Training time is that of this machine."
        )
    else:
        notes.append(
            "The networks were taken trained: how, how long and on what is not known here."
        )
    for place, benchmark in comparison.benchmarks.items():
        engines = dict.fromkeys(
            f"{network.name}: {latency.engine}"
            for network in networks
            for latency in network.latencies
            if latency.place == place
        )
        where = benchmark.board or benchmark.processor
        notes.append(
            f"Timed {'here' if place == HERE else 'on ' + place} ({where}, {benchmark.machine}), "
            f"one image, one thread, all files taking turns: the median on the fastest engine. "
            f"{'; '.join(engines)}."
        )
        notes += benchmark.notes
    versions = comparison.benchmarks[HERE].versions
    notes.append(", ".join(f"{name} {version}" for name, version in versions.items() if version))
    return notes


def _bytes(size: float) -> str:
    """In units of 1,000.

    >>> _bytes(20_000), _bytes(2_500_000)
    ('20 kB', '2.5 MB')
    """
    for unit, factor in (("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:g} {unit}"
    return f"{size:g} B"
