"""Invokes a file on LiteRT, on one thread; `aarch64_networks.py` counts what that executes.

    python infer.py FILE TIMES [DELEGATE_LIBRARY]

Prints how many operators delegates have taken over before and after the first allocation, in which
XNNPACK takes its own. Every such node bears the same name.
"""

import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter, load_delegate


def delegated(interpreter) -> int:
    return sum(node["op_name"] == "DELEGATE" for node in interpreter._get_ops_details())


def main(path: str, times: str, *library: str) -> None:
    delegates = [load_delegate(each) for each in library]
    interpreter = Interpreter(path, experimental_delegates=delegates, num_threads=1)
    before = delegated(interpreter)
    interpreter.allocate_tensors()
    print(before, delegated(interpreter))
    (image,) = interpreter.get_input_details()
    values = np.random.default_rng(0).normal(size=image["shape"])
    scale, zero_point = image["quantization"]
    if scale:
        values = np.clip(np.round(values / scale) + zero_point, -128, 127)
    interpreter.set_tensor(image["index"], values.astype(image["dtype"]))
    for _ in range(int(times)):
        interpreter.invoke()


main(*sys.argv[1:])
