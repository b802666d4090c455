"""Keras against the exported file, piece by piece."""

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

import numpy as np

from keras_bnn.errors import InputError
from keras_bnn.export import segments
from keras_bnn.export.bake import bake
from keras_bnn.export.comparison import Comparison, Pieces, distance
from keras_bnn.export.lowering import run
from keras_bnn.export.rules import rewrite
from keras_bnn.export.rules.binary_products import is_binary_product
from keras_bnn.export.segments import Cut
from keras_bnn.export.stored_kernels import StoredKernel, stored_kernels
from keras_bnn.export.traced import TracedGraph
from keras_bnn.runtime import native
from keras_bnn.runtime.engine import Engine
from keras_bnn.runtime.engines import LITERT, engine_for
from keras_bnn.runtime.foreign import has_1bit_operators
from keras_bnn.runtime.lce import most_exact_kernel
from keras_bnn.tflite.file import read
from keras_bnn.tflite.graph import Graph

# Rounding of float32 in the float operators of a network, relative to its largest output.
_EQUAL = 1e-4
_RANDOM_SAMPLES = 16


@dataclass(frozen=True)
class Verification:
    """How far Keras and the file are apart, and whether rounding explains it.

    The file is compared with the baked model (the one that was converted) at every sign: given
    the signs that the file computed before, is the next sign the same, or the value below it so
    close to 0 that rounding in float32 can flip it?

    Attributes:
        ok: Whether rounding explains every difference, between the file and the baked model, and
            between each quantized layer of the model and what it was baked to.
        samples: How many samples were compared.
        signs: How many signs were compared, on all engines together, as are the next four.
        explained_signs: How many of them differ, with a value below that lies within its error
            bound of 0.
        wrong_signs: How many differ beyond that bound. 0 in a right file.
        wrong_outputs: How many numbers among the outputs differ beyond their bound. 0 in a right
            file.
        largest_excess: The largest difference of an output, in units of its bound; <= 1 is right.
            Infinite where one of both is infinite or not a number.
        equal_to_baked: Share of the samples for which Keras and the baked model have equal outputs,
            within 1e-4 of the largest. A sum that is exactly 0 in one can be rounded in the other.
        max_abs_difference: The largest difference of an output between Keras and the file from
            input to output, in units of that output. One flipped sign can make it large.
        agreement: Share of the samples of which the largest value of every output is at the same
            place in Keras and the file (the same class).
        engine: What ran the file, all of them.
        problems: What is in one of model and file and not in the other, or was baked wrongly.
        unproven: TensorFlow's operations for which no error bound is known. What follows them was
            compared within 0.1 % of the largest value instead.
        undecided: How many signs and outputs, on all engines together, have an error bound beyond
            the largest value of their tensor. Rounding explains whatever the file computes there.
        not_finite: How many values below signs and among outputs, on all engines together, are
            infinite or not a number in the baked model. LiteRT stops at the largest float instead.
    """

    ok: bool
    samples: int
    signs: int
    explained_signs: int
    wrong_signs: int
    wrong_outputs: int
    largest_excess: float
    equal_to_baked: float
    max_abs_difference: float
    agreement: float
    engine: str
    problems: list[str] = field(default_factory=list)
    unproven: list[str] = field(default_factory=list)
    undecided: int = 0
    not_finite: int = 0

    def to_dict(self) -> dict:
        """The same as plain values, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [
            f"{'equal' if self.ok else 'DIFFERENT'}: {self.samples} samples on {self.engine}",
            f"  signs compared         {self.signs:,}",
            f"    differ by rounding   {self.explained_signs:,}",
            f"    wrong                {self.wrong_signs:,}",
            f"  wrong outputs          {self.wrong_outputs:,} (largest difference "
            f"{self.largest_excess:.2g} of its bound)",
            f"  Keras and baked model  {self.equal_to_baked:.1%} of the samples equal",
            f"  Keras and file         {self.agreement:.1%} with the same class, largest "
            f"difference {self.max_abs_difference:.3g}",
        ]
        if self.unproven:
            lines.append(
                f"  no error bound is known for {', '.join(self.unproven)}: what follows was "
                "compared within 0.1 % of the largest value"
            )
        if self.undecided:
            lines.append(
                f"  undecided              {self.undecided:,} signs and outputs: rounding errors "
                "can grow beyond the values themselves"
            )
        if self.not_finite:
            lines.append(
                f"  not finite             {self.not_finite:,} values of the model, where LiteRT "
                "stops at 3.4e38: are the samples, and do batch norms' statistics belong to them?"
            )
        return "\n".join(lines + [f"  {problem}" for problem in self.problems])


def verify(
    model, path: str | os.PathLike, inputs=None, *, engine: Callable | None = None
) -> Verification:
    """Compares a Keras model with an exported file.

    Inputs and outputs are matched by name, a single one whatever its name.

    Args:
        model: What was exported: a built Keras 2 model, or the folder of a SavedModel.
        path: The .tflite file.
        inputs: Samples, as `model.predict` takes them (an array, a list, or a dict by name).
            Without them, 16 random ones, of which half hold many exact ties.
        engine: What runs the file: a function from its bytes to an object with a `name` and with
            `run`, from a list of arrays to a list of arrays. By default two, and the file has to
            be right on both: LCE's reference kernels, and LiteRT with our own library, where that
            is installed.

    Returns:
        What was compared, and whether it is equal.

    Raises:
        InputError: If the inputs do not fit the model, or the file has other inputs or outputs.

    >>> model = keras_bnn.models.BinaryNet((8, 8, 1), 10)
    >>> exported = keras_bnn.export.to_tflite(model, "model.tflite")
    >>> verify(model, "model.tflite").ok
    True
    """
    file = Graph(read(path))
    baked = bake(model)
    if inputs is None:
        arrays = baked.signature.random_inputs(_RANDOM_SAMPLES, seed=1, ties=True)
    else:
        arrays = baked.signature.as_inputs(inputs)
    order = _order("inputs", baked.input_names, [port.name for port in file.inputs])
    back = _order("outputs", baked.output_names, [port.name for port in file.outputs])
    rewrite(baked.graph)
    stored = stored_kernels(file)
    cuts = segments.find_cuts(baked.graph, file, stored)
    problems = [
        f"The kernel behind {cut.sign.name} is not in the file."
        for cut in cuts
        if not cut.candidates
    ]
    cuts = [cut for cut in cuts if cut.candidates]
    tensors = sorted({tensor for cut in cuts for tensor in cut.candidates})
    data = segments.with_tensors_as_outputs(file, tensors)
    of_keras, of_baked = baked.run(arrays), _run_closed(baked.graph, cuts, arrays)
    problems += _surplus(file, baked.graph, stored) + baked.misbaked(arrays)
    engines = [engine(data)] if engine else _engines(data)
    results = [running.run([arrays[i] for i in order]) for running in engines]
    outputs = [[result[i] for i in back] for result in results]
    packed = [dict(zip(tensors, result[len(file.outputs) :], strict=True)) for result in results]
    problems += [
        f"{cut.sign.name} has another shape in the file."
        for cut in cuts
        if not segments.fitting(cut, packed[0])
    ]
    pieces = Pieces(baked.graph, [cut for cut in cuts if segments.fitting(cut, packed[0])])
    comparisons = [
        Comparison(pieces, arrays, of_file, _signs(pieces.cuts, at_cuts, of_baked))
        for of_file, at_cuts in zip(outputs, packed, strict=True)
    ]
    ends = [_end_to_end(of_keras, of_file) for of_file in outputs]
    wrong_signs = sum(comparison.wrong_signs for comparison in comparisons)
    wrong_outputs = sum(comparison.wrong_outputs for comparison in comparisons)
    return Verification(
        ok=not (wrong_signs or wrong_outputs or problems),
        samples=len(arrays[0]),
        signs=sum(comparison.signs for comparison in comparisons),
        explained_signs=sum(comparison.explained_signs for comparison in comparisons),
        wrong_signs=wrong_signs,
        wrong_outputs=wrong_outputs,
        largest_excess=max(comparison.largest_excess for comparison in comparisons),
        equal_to_baked=_equal_samples(
            of_keras, [of_baked[reference] for reference in baked.graph.outputs]
        ),
        max_abs_difference=max(difference for _, difference in ends),
        agreement=min(agreement for agreement, _ in ends),
        engine=", ".join(running.name for running in engines),
        problems=problems,
        unproven=pieces.unproven,
        undecided=sum(comparison.undecided for comparison in comparisons),
        not_finite=sum(comparison.not_finite for comparison in comparisons),
    )


def _engines(data: bytes) -> list[Engine]:
    """LCE's reference kernel is the standard, and our own library what people will run."""
    model = read(data)
    graph = Graph(model)
    if not has_1bit_operators(graph):
        return [engine_for(model)]
    engines = [engine_for(model, name=most_exact_kernel(graph))]
    if native.library_path():
        engines.append(engine_for(model, name=LITERT))
    return engines


def _run_closed(
    graph: TracedGraph, cuts: list[Cut], inputs: list[np.ndarray]
) -> dict[str, np.ndarray]:
    """The baked model from its inputs: its outputs and the signs at the cuts, by reference."""
    whole = graph.copy()
    whole.outputs += [f"{cut.sign.name}:0" for cut in cuts]
    return dict(zip(whole.outputs, run(whole, inputs), strict=True))


def _signs(
    cuts: list[Cut], packed: dict[int, np.ndarray], of_baked: dict[str, np.ndarray]
) -> list[np.ndarray]:
    """The file's values of each cut; of several that could be it, the most alike."""
    return [
        max(
            segments.fitting(cut, packed),
            key=lambda values: int((values == of_baked[f"{cut.sign.name}:0"]).sum()),
        )
        for cut in cuts
    ]


def _surplus(file: Graph, graph: TracedGraph, stored: list[StoredKernel]) -> list[str]:
    """The 1-bit operators of the file whose kernels the model has not."""
    kernels = [
        graph.value(node.inputs[1]) for node in graph.of("Conv2D") if is_binary_product(graph, node)
    ]
    return [
        f"The kernel of {file.tensor(kernel.operator.outputs[0]).name} is not in the model."
        for kernel in stored
        if kernel.is_1bit and not any(kernel.holds(signs) for signs in kernels)
    ]


def _order(what: str, of_model: tuple[str, ...], of_file: list[str]) -> list[int]:
    """For each name of the file (inputs) or of the model (outputs), its place in the other."""
    # Keras numbers names that nobody chose, so the same model built twice has different ones.
    if len(of_model) == len(of_file) == 1:
        return [0]
    if sorted(of_model) != sorted(of_file):
        raise InputError(
            f"The file has {what} {sorted(of_file)}, expected the model's, {sorted(of_model)}. Is "
            "it another model's file?"
        )
    if what == "inputs":
        return [of_model.index(name) for name in of_file]
    return [of_file.index(name) for name in of_model]


def _equal_samples(a: list[np.ndarray], b: list[np.ndarray]) -> float:
    equal = np.ones(len(a[0]), bool)
    for x, y in zip(a, b, strict=True):
        difference = distance(x, y).reshape(len(x), -1).max(1)
        equal &= difference <= _EQUAL * np.abs(x[np.isfinite(x)]).max(initial=0.0)
    return float(equal.mean())


def _end_to_end(a: list[np.ndarray], b: list[np.ndarray]) -> tuple[float, float]:
    same, largest = np.ones(len(a[0]), bool), 0.0
    for x, y in zip(a, b, strict=True):
        if x.shape != y.shape:
            raise InputError(
                f"An output of the file has shape {y.shape}, expected {x.shape}. Is it another "
                "model's file?"
            )
        rows = x.reshape(len(x), -1), y.reshape(len(y), -1)
        same &= rows[0].argmax(1) == rows[1].argmax(1)
        largest = max(largest, float(distance(x, y).max(initial=0.0)))
    return float(same.mean()), largest
