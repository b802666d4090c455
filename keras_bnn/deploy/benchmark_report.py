"""What LiteRT's `benchmark_model` prints, as far as it is needed.

Its source: tflite/tools/benchmark of https://github.com/google-ai-edge/LiteRT.
"""

import re

from keras_bnn.errors import InputError
from keras_bnn.runtime.timing import Timing

# Logged only after at least one operator went to the delegate; "EXTERNAL delegate created." comes
# before that is known, and even where there is none.
_DELEGATED = re.compile(r"Explicitly applied EXTERNAL delegate, and the model graph will be \w+ly")
_XNNPACK = "XNNPACK delegate"
# A warm-up has such a line, too, in front of that of the runs.
_RUNS = re.compile(r"\bcount=(\d+) .*\bcurr=\d+.*")
_END = "Inference timings in us:"


def timing(report: str) -> Timing:
    """Reads how long the runs took; their quartiles, and so their spread, it does not tell.

    Raises:
        InputError: If it did not get that far, or is of a version that tells no median.
    """
    runs = list(_RUNS.finditer(report))
    if len(runs) < 2 or _END not in report:
        raise InputError(f"benchmark_model printed no timings, but: {last_error(report)}")
    found = {key: float(value) for key, value in re.findall(r"(\w+)=([\d.e+]+)", runs[-1][0])}
    if "median" not in found:
        raise InputError(
            "This benchmark_model tells an average, which other work on the phone distorts, and no "
            "median: take a newer one."
        )
    # Where all runs took equally long it leaves out the shortest.
    shortest = found.get("min", found["curr"])
    return Timing(found["median"] / 1e3, shortest / 1e3, None, int(found["count"]))


def uses_delegate(report: str) -> bool:
    """Whether operators ran on the delegate of --external_delegate_path."""
    return bool(_DELEGATED.search(report))


def uses_xnnpack(report: str) -> bool:
    """Whether it says that XNNPACK ran float operators."""
    return _XNNPACK in report


def last_error(report: str) -> str:
    """The line that says best why it failed: the first error, or else the last line."""
    lines = [line.strip() for line in report.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"(ERROR|F |FATAL|CANNOT LINK|linker)", line)]
    return (errors or lines[-1:] or ["nothing at all"])[0]
