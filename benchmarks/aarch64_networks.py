"""Instructions of one inference on a 64-bit ARM processor: 1-bit files and what they stand for.

    python benchmarks/aarch64_networks.py ROOT PACKAGES FOLDER [--cpu cortex-a72]

QuickNet and Bi-RealNet-18 as 1-bit files with this project's delegate, as float32 files and as int8
files, all on LiteRT and XNNPACK under QEMU. ROOT is an arm64 Debian with Python
(tests/emulated_pi/build), PACKAGES a folder of LiteRT and NumPy for it, where pip puts them with
`--target PACKAGES --only-binary :all: --platform manylinux_2_27_aarch64`, and FOLDER keeps the
files. Counts say what a processor has to do, and nothing of how long it takes.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import emulated
import imagenet_networks
import instructions
import numpy as np
import tensorflow as tf

from keras_bnn.tables import aligned

INFER = Path(__file__).with_name("infer.py")


def export_int8(name: str, path: Path) -> None:
    """Writes the float network with all operators quantized, as random images suggest."""
    tf.keras.utils.set_random_seed(0)
    model = imagenet_networks.NETWORKS[name](binary=False)
    imagenet_networks.settle(model)
    generator = np.random.default_rng(0)
    shape = (1, *imagenet_networks.IMAGE)
    images = [[generator.normal(size=shape).astype(np.float32)] for _ in range(4)]
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: iter(images)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    path.write_bytes(converter.convert())


class Board:
    """An emulated board with LiteRT."""

    def __init__(self, cpu: str, root: Path, packages: Path, folder: Path):
        self._emulator = emulated.Emulator(cpu, folder, root)
        self._python = root / "usr/bin/python3.11"
        # Hashes would be others at each start, and so would the order of what Python does.
        self._variables = {"PYTHONPATH": str(packages), "PYTHONHASHSEED": "0"}

    def inference(self, path: Path, *library: Path) -> emulated.Counts:
        """What a second inference adds."""
        counts = []
        for times in (1, 2):
            count, printed = self._emulator.run(
                self._python, INFER, path, times, *library, **self._variables
            )
            before, after = map(int, printed.split())
            if after <= before:
                sys.exit(f"{path.name}: XNNPACK took no operator ({before} delegated before).")
            counts.append(count)
        print(f"{path.name}: {before} delegated nodes, {after} with XNNPACK's", file=sys.stderr)
        return counts[1] - counts[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name in ("root", "packages", "folder"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--cpu", default="cortex-a72")
    arguments = parser.parse_args()
    files = imagenet_networks.export(arguments.folder)
    rows = [("network", "file", "all", "vector", "loads and stores", "against 1-bit")]
    with tempfile.TemporaryDirectory() as temporary:
        library = instructions.build_for_aarch64(Path(temporary))
        board = Board(arguments.cpu, arguments.root, arguments.packages, Path(temporary))
        for name, (binary, real) in files.items():
            quantized = arguments.folder / f"{name}_int8.tflite"
            if not quantized.exists():
                export_int8(name, quantized)
            ours = board.inference(binary, library)
            found = {"1-bit": ours, "int8": board.inference(quantized)}
            found["float32"] = board.inference(real)
            for kind, count in found.items():
                millions = (f"{each / 1e6:,.0f} M" for each in vars(count).values())
                rows.append((name, kind, *millions, f"{count.all / ours.all:.1f}x"))
    print(aligned(rows, right=[2, 3, 4, 5]))


if __name__ == "__main__":
    main()
