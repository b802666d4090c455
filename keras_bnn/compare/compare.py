import dataclasses
import json
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from keras_bnn.compare.answer import answer
from keras_bnn.compare.comparison import Comparison
from keras_bnn.compare.exports import networks_of
from keras_bnn.compare.measurements import benchmarks, latencies
from keras_bnn.compare.network import BINARY, Network
from keras_bnn.compare.page import page
from keras_bnn.compare.runs import Family, Plan, name_of, taken
from keras_bnn.data import Dataset
from keras_bnn.deploy.target import Ssh, parse
from keras_bnn.errors import InputError
from keras_bnn.files import make_folder, write_atomically
from keras_bnn.training import checks
from keras_bnn.training.run_folder import RunFolder

_USUAL = {"models": ["binarynet"], "recipes": [None], "seeds": [0, 1, 2]}


def compare(
    dataset: Dataset,
    folder: str | os.PathLike,
    *,
    models: Sequence[str | Callable] | None = None,
    recipes: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    shift: int | None = None,
    flip: bool | None = None,
    trained: Sequence[tuple[str | os.PathLike, str | os.PathLike]] = (),
    tolerance: float = 1.0,
    on: str | None = None,
    wheel: Path | None = None,
    offline: bool = False,
    resume: bool = False,
    callbacks: Sequence = (),
    progress: Callable[[str], None] = lambda line: None,
) -> Comparison:
    """Answers whether binary networks can replace their float twins on this data.

    Each binary network and its float twin (`keras_bnn.models.float_twin`) are trained on the same
    examples, as long, with the same seeds; the twin is exported as float32 and, quantized after
    training, as int8. All files are tested on the test examples and timed in one run. The training
    examples choose, the test examples only tell.

    Args:
        dataset: What to train on and to test with.
        folder: Gets `report.json`, `report.html`, `files/` (the exported ones) and `runs/`, in
            which each training can be resumed.
        models: Names of `keras_bnn.models.ZOO`, or functions as `keras_bnn.training.train` takes
            them. Default: `["binarynet"]`.
        recipes: Ways to train the binary networks, names of `keras_bnn.training.RECIPES`; each
            makes one more of each model. Default: the usual one alone. Twins are always trained in
            the usual way, and teach where a recipe has a teacher.
        seeds: Of each network. Default: 0, 1 and 2. With one alone no spread is known.
        epochs, batch_size, learning_rate, shift, flip: As of `keras_bnn.training.train`, for all
            networks.
        trained: Instead of training: pairs of Keras models' paths, a binary network and its float
            twin, each pair a training of the same two networks. `folder` then has no `runs/`.
        tolerance: Percentage points of test accuracy that a binary network may lose.
        on: A board to time on as well, `ssh://[user@]host[:port]`; its milliseconds are then those
            of the answer. Its `wheel` and `offline` are those of `keras-bnn benchmark`.
        resume: Whether to go on with the comparison in `folder`. What it trains is then as it was
            where it is not given; `tolerance` and `on` may be others.
        callbacks: Keras callbacks for each training.
        progress: Called with a line now and then.

    Returns:
        All figures, and an answer for each binary network.

    Raises:
        InputError: If an argument is out of range, a network does not take these images, cannot be
            exported as 1-bit or has no float twin (before anything is trained), the folder does
            not fit `resume`, or the board cannot be reached.

    >>> digits = keras_bnn.data.load("digits")
    >>> found = compare(digits, "report", seeds=[0], epochs=1)
    >>> [network.name for network in found.networks]
    ['binarynet', 'binarynet float32', 'binarynet int8']
    """
    checks.check_dataset(dataset)
    _check_tolerance(tolerance)
    board = _board(on, wheel, offline)
    folder = Path(folder)
    chosen = {"models": models, "recipes": recipes, "seeds": seeds}
    settings = {
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "shift": shift,
        "flip": flip,
    }
    if trained:
        _refuse_beside_trained({**chosen, **settings, "resume": resume or None})
        families = [taken(trained, dataset)]
    else:
        run = RunFolder(folder, resume)
        plan = _plan(chosen, settings, run.stored or {})
        run.settle(_stored(plan, dataset))
        plan.check(dataset)
        run.begin()
        families = plan.train(dataset, folder / "runs", callbacks, progress)
    networks = _exported(families, dataset, folder / "files", progress)
    options = {"wheel": wheel, "offline": offline}
    measured = benchmarks([n.files[0].path for n in networks], board, options, progress)
    networks = [
        dataclasses.replace(network, latencies=latencies(network.files[0].path, measured))
        for network in networks
    ]
    comparison = Comparison(
        dataset.name,
        dataset.label_names,
        len(dataset.test.labels),
        networks,
        _answers(networks, tolerance, dataset.name),
        measured,
        folder,
    )
    report = json.dumps(comparison.to_dict(), indent=2)
    write_atomically(folder / "report.json", report.encode())
    write_atomically(folder / "report.html", page(comparison).encode())
    return comparison


def _check_tolerance(tolerance: float) -> None:
    if isinstance(tolerance, str) or not 0 <= tolerance < math.inf:
        raise InputError(
            f"tolerance is {tolerance!r}, expected percentage points from 0 on, such as 1.0."
        )


def _board(on: str | None, wheel: Path | None, offline: bool) -> Ssh | None:
    if on is None:
        if wheel or offline:
            raise InputError("wheel and offline mean nothing without on: leave them out.")
        return None
    target = parse(on)
    if not isinstance(target, Ssh):
        raise InputError(
            f"--on is {on!r}, expected a board behind ssh. For a phone, compare without it, and "
            "pass the files that are written to keras-bnn benchmark --on adb."
        )
    return target


def _refuse_beside_trained(arguments: dict[str, Any]) -> None:
    given = [name for name, value in arguments.items() if value is not None]
    if given:
        raise InputError(
            f"{', '.join(given)}: of no use with trained networks, which are not trained again. "
            "Leave them out."
        )


def _plan(chosen: dict[str, Any], settings: dict[str, Any], stored: dict[str, Any]) -> Plan:
    """The plan, where nothing is given that of the comparison before."""
    usual = {**_USUAL, **settings, **stored}
    lists = {name: usual[name] if value is None else value for name, value in chosen.items()}
    numbers = {name: usual[name] if value is None else value for name, value in settings.items()}
    for name, values in lists.items():
        if isinstance(values, str) or not values or len(set(values)) < len(values):
            raise InputError(f"{name} is {values!r}, expected a list of one or more, each once.")
    for model in lists["models"]:
        checks.check_model(model)
    names = [name_of(model) for model in lists["models"]]
    if len(set(names)) < len(names):
        raise InputError(f"models are named {names}, expected different names: rename one.")
    seeds = [checks.checked_seed(seed) for seed in lists["seeds"]]
    return Plan(lists["models"], lists["recipes"], seeds, numbers)


def _stored(plan: Plan, dataset: Dataset) -> dict[str, Any]:
    """What a comparison that is resumed has to have in common with the one before."""
    return {
        "dataset": dataset.name,
        "examples": dataset.fingerprint(),
        "models": [name_of(model) for model in plan.models],
        "recipes": list(plan.recipes),
        "seeds": list(plan.seeds),
        **plan.settings,
    }


def _exported(
    families: list[Family], dataset: Dataset, folder: Path, progress: Callable
) -> list[Network]:
    make_folder(folder)
    return [
        network for family in families for network in networks_of(family, dataset, folder, progress)
    ]


def _answers(networks: list[Network], tolerance: float, data: str):
    by_name = {network.name: network for network in networks}
    return [
        answer(
            network,
            by_name[f"{network.model} float32"],
            by_name[f"{network.model} int8"],
            tolerance,
            data,
        )
        for network in networks
        if network.precision == BINARY
    ]
