"""Train a network here, write it as a 1-bit file, check it, and time it on a Raspberry Pi.

    python deploy_to_a_pi.py ssh://pi@raspberrypi.local --wheel keras_bnn-0.1.0-…_aarch64.whl

The board needs ssh and Python 3.10 or later. The README says where the wheel comes from; after the
first time it is there, and can be left out.
"""

import argparse
import sys
from pathlib import Path

import keras_bnn as kb
import tensorflow as tf
from keras_bnn.deploy import ssh
from keras_bnn.deploy.target import Ssh, parse
from keras_bnn.errors import InputError


def write_files() -> list[Path]:
    """Trains a small network, and returns its 1-bit file and that of the same network in float."""
    digits = kb.data.load("digits")
    model = kb.models.BinaryNet(digits.input_shape, digits.num_classes)
    model.compile(
        optimizer=tf.keras.optimizers.Adam(5e-3),
        loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(*digits.train, epochs=3, batch_size=64, verbose=2)
    print(kb.export.to_tflite(model, "digits.tflite"))
    verification = kb.export.verify(model, "digits.tflite", digits.test.images)
    print(verification)
    if not verification.ok:
        sys.exit("The file is not the network that was trained.")
    # Not trained: it is there to be timed.
    kb.export.to_tflite(kb.models.float_twin(model), "float.tflite")
    return [Path("digits.tflite"), Path("float.tflite")]


def main() -> None:
    parser = argparse.ArgumentParser(description="Deploys a network to a Raspberry Pi.")
    parser.add_argument("board", help="ssh://[user@]host[:port]")
    parser.add_argument("--wheel", type=Path, help="keras-bnn for the board")
    parser.add_argument("--offline", action="store_true", help="the board has no internet")
    options = parser.parse_args()
    installing = {"wheel": options.wheel, "offline": options.offline}
    try:
        board = parse(options.board)
        if not isinstance(board, Ssh):
            parser.error(f"{options.board} is no board behind ssh.")
        files = write_files()
        print(ssh.benchmark(board, files, threads=[1, 4], **installing))
        print(ssh.deploy(board, files[:1], **installing))
    except InputError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
