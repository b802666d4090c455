"""Variations of training images, drawn anew in every epoch."""

import numpy as np

from keras_bnn.data.dataset import Split

_BLACK = -1.0


def augmented(split: Split, shift: int, flip: bool, generator: np.random.Generator) -> Split:
    """Moves and mirrors each image at random.

    Args:
        split: Images of shape (count, height, width, channels), -1 black; left as they are.
        shift: Pixels that an image moves along each axis at most, evenly distributed from `-shift`
            to `shift`; black comes in.
        flip: Whether to mirror half of the images, left to right.
        generator: Draws the numbers.

    Returns:
        As many images, of the same shape, with the same labels.

    >>> image = np.array([[[[1.0], [2.0]]]])
    >>> mirrored = augmented(Split(image, np.array([0])), 0, True, np.random.default_rng(2))
    >>> mirrored.images.ravel()
    array([2., 1.])
    """
    images = split.images
    count, height, width, _ = images.shape
    if flip:
        is_mirrored = generator.random(count) < 0.5
        images = np.where(is_mirrored[:, None, None, None], images[:, :, ::-1], images)
    if shift:
        frame = [(0, 0), (shift, shift), (shift, shift), (0, 0)]
        framed = np.pad(images, frame, constant_values=_BLACK)
        corners = generator.integers(0, 2 * shift + 1, (count, 2))
        moved = [
            image[top : top + height, left : left + width]
            for image, (top, left) in zip(framed, corners, strict=True)
        ]
        images = np.stack(moved)
    return Split(images, split.labels)
