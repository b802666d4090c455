"""Says what the camera of a Raspberry Pi sees, or what is in a folder of images.

classify.py MODEL.tflite [--images FOLDER] [--threads N]

One line an image: its name, its label, and the milliseconds that the network took. Size and
normalization of the images and the labels are those that the file itself names.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from keras_bnn.errors import InputError
from keras_bnn.runtime import Interpreter
from keras_bnn.tflite import describe

MODES = {1: "L", 3: "RGB"}


class Classifier:
    """A file that takes one image and names its class.

    Raises:
        InputError: If the file does not say which images it takes, or what its output means.
    """

    def __init__(self, path: Path, threads: int):
        about = describe(path)
        if len(about.inputs) != 1 or len(about.outputs) != 1:
            raise InputError(f"{path} has several inputs or outputs, expected one image, one class")
        (image,), (output,) = about.inputs, about.outputs
        if image.dtype != "float32" or len(image.shape) != 4 or image.shape[3] not in MODES:
            raise InputError(
                f"{path} takes {image.dtype} of {image.shape}, expected float32 images of "
                "1 or 3 channels"
            )
        if min(image.shape[1:3]) < 1:
            raise InputError(
                f"{path} leaves the size of its images open: export it with a fixed one"
            )
        self._size, self._mode = (image.shape[2], image.shape[1]), MODES[image.shape[3]]
        if image.name not in about.metadata.normalization:
            raise InputError(
                f"{path} does not say how to normalize its images: export it with "
                "preprocessing=Normalization(127.5, 127.5), or what it was trained with"
            )
        self._normalization = about.metadata.normalization[image.name]
        self._labels = about.metadata.labels.get(output.name)
        if not self._labels:
            raise InputError(f"{path} has no labels: export it with labels=[…]")
        self._interpreter = Interpreter(path, num_threads=threads)
        # The first prediction takes longer: it allocates.
        self.label(Image.new(self._mode, self._size))

    def label(self, image: Image.Image) -> tuple[str, float]:
        """The class of an image, cropped to the network's shape, and the network's milliseconds."""
        fitted = ImageOps.fit(image.convert(self._mode), self._size)
        pixels = np.asarray(fitted, np.float32).reshape(1, fitted.height, fitted.width, -1)
        mean, std = (np.float32(x) for x in (self._normalization.mean, self._normalization.std))
        start = time.perf_counter()
        scores = self._interpreter.predict((pixels - mean) / std)
        return self._labels[int(np.argmax(scores))], 1000 * (time.perf_counter() - start)


def folder_images(folder: Path) -> Iterator[tuple[str, Image.Image]]:
    """The images of a folder by name; files that are none are named and passed over."""
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder")
    count = 0
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        try:
            with Image.open(path) as file:
                image = ImageOps.exif_transpose(file)
            if image.mode[0] in "IF":  # which Pillow would clip at 255
                raise ValueError(f"{image.mode} pixels have more than 8 bits")
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            print(f"classify: {path} cannot be read: {error}", file=sys.stderr)
            continue
        count += 1
        yield path.name, image
    if not count:
        raise InputError(f"{folder} has no image")


def camera_images() -> Iterator[tuple[str, Image.Image]]:
    """What the camera sees, one image after another."""
    try:
        from picamera2 import Picamera2
    # A ValueError where its libraries were built for another NumPy.
    except (ImportError, ValueError) as error:
        raise InputError(
            f"the camera needs picamera2 ({error}): install it and this program as README.md says, "
            "or name a folder with --images"
        ) from None
    if not Picamera2.global_camera_info():
        raise InputError("no camera is found: see that rpicam-hello shows its picture")
    camera = Picamera2()
    camera.configure(camera.create_preview_configuration())
    camera.start()
    try:
        while True:
            yield "camera", camera.capture_image()
    finally:
        camera.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="Say what the camera sees, or a folder shows.")
    parser.add_argument("model", type=Path, help="a .tflite file with labels and normalization")
    parser.add_argument("--images", type=Path, help="a folder, in place of the camera")
    parser.add_argument("--threads", type=int, default=1, help="1 unless said otherwise")
    arguments = parser.parse_args()
    try:
        classifier = Classifier(arguments.model, arguments.threads)
        images = folder_images(arguments.images) if arguments.images else camera_images()
        for name, image in images:
            label, milliseconds = classifier.label(image)
            print(f"{name}  {label}  {milliseconds:.1f} ms", flush=True)
    except InputError as error:
        sys.exit(f"classify: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read it has enough; what is still to be written goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
