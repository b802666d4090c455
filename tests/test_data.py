"""The data sets: their shapes and scale, where their files are looked for, damaged files."""

import gzip
import http.client
import pathlib
import re
import struct
import urllib.error

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import keras_bnn as kb
from keras_bnn.data import mnist
from keras_bnn.data.dataset import Dataset, Split, hold_out
from keras_bnn.errors import InputError

STEMS = {
    "train-images": "train-images-idx3-ubyte",
    "train-labels": "train-labels-idx1-ubyte",
    "t10k-images": "t10k-images-idx3-ubyte",
    "t10k-labels": "t10k-labels-idx1-ubyte",
}
IDX_NAMES = ("fashion_mnist", "mnist")


def idx(array) -> bytes:
    array = np.asarray(array, np.uint8)
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return header + array.tobytes()


def arrays(value: int = 0) -> dict[str, np.ndarray]:
    """Twelve training and five test images of 4×3 pixels, the first pixel of all `value`."""
    generator = np.random.default_rng(0)
    made: dict[str, np.ndarray] = {}
    for split, count in (("train", 12), ("t10k", 5)):
        images = generator.integers(0, 256, (count, 4, 3), np.uint8)
        images[:, 0, 0] = value
        images[:, 0, 1] = 255
        made |= {
            f"{split}-images": images,
            f"{split}-labels": np.arange(count, dtype=np.uint8) % 10,
        }
    return made


def write(folder: pathlib.Path, suffix: str = "", separator: str = "-", **values) -> dict:
    """Writes the four files of `arrays`, and returns what is in them."""
    folder.mkdir(parents=True, exist_ok=True)
    written = arrays(**values)
    for stem, array in written.items():
        name = STEMS[stem].replace("-idx", f"{separator}idx") + suffix
        data = gzip.compress(idx(array), 1) if suffix else idx(array)
        (folder / name).write_bytes(data)
    return written


def refused(name, *arguments) -> str:
    """The message of the `InputError` that `load` raises, which is one line."""
    with pytest.raises(InputError) as error:
        kb.data.load(name, *arguments)
    message = str(error.value)
    assert "\n" not in message
    assert message.endswith((".", "?"))
    return message


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """A machine without the files, which counts the downloads and refuses them."""
    downloads = []

    def download(*arguments, **options):
        downloads.append(arguments)
        raise urllib.error.URLError(OSError("[Errno -2] Name or service\nnot known"))

    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    object.__setattr__(mnist.FASHION_MNIST, "system_folder", tmp_path / "system")
    monkeypatch.setattr("tf_keras.src.datasets.fashion_mnist.get_file", download)
    monkeypatch.setattr("tf_keras.src.datasets.mnist.get_file", download)
    yield downloads
    object.__setattr__(mnist.FASHION_MNIST, "system_folder", SYSTEM_FOLDER)


SYSTEM_FOLDER = mnist.FASHION_MNIST.system_folder


def test_digits_have_their_shapes_and_scale():
    digits = kb.data.load("digits")
    assert digits.name == "digits"
    assert digits.input_shape == (8, 8, 1)
    assert digits.num_classes == 10
    assert digits.label_names == tuple("0123456789")
    for split, count in ((digits.train, 1438), (digits.test, 359)):
        assert split.images.shape == (count, 8, 8, 1)
        assert split.images.dtype == np.float32
        assert (split.images.min(), split.images.max()) == (-1, 1)
        # The originals are whole numbers from 0 to 16.
        assert (split.images * 8 == np.round(split.images * 8)).all()
        assert split.labels.shape == (count,)
        assert split.labels.dtype == np.int64


def test_digits_hold_out_a_fifth_of_every_class():
    digits = kb.data.load("digits")
    train, test = np.bincount(digits.train.labels), np.bincount(digits.test.labels)
    assert len(test) == 10
    assert (test == np.round(0.2 * (train + test))).all()


def test_digits_are_the_same_every_time():
    first, second = kb.data.load("digits"), kb.data.load("digits")
    assert first.fingerprint() == second.fingerprint()
    for a, b in zip((*first.train, *first.test), (*second.train, *second.test), strict=True):
        assert (a == b).all()


def test_digits_of_training_and_test_are_all_of_them():
    from sklearn.datasets import load_digits

    digits = kb.data.load("digits")
    images = np.concatenate([digits.train.images, digits.test.images]).reshape(-1, 64)
    labels = np.concatenate([digits.train.labels, digits.test.labels])
    ours = np.column_stack([images, labels])
    original = load_digits()
    theirs = np.column_stack([original.data / 8 - 1, original.target])
    assert sorted(map(tuple, ours)) == sorted(map(tuple, theirs))


def test_digits_are_in_no_folder(tmp_path):
    assert str(tmp_path) in refused("digits", tmp_path)


@pytest.mark.parametrize("name", ["cifar10", "", "Digits"])
def test_an_unknown_name_is_answered_with_the_known_ones(name):
    message = refused(name)
    assert repr(name) in message
    assert all(known in message for known in kb.data.NAMES)


def test_a_fingerprint_sees_every_image_and_label():
    digits = kb.data.load("digits")
    names = tuple(map(str, range(11)))  # The last is what a label may become.
    for part in range(4):
        copies = [array.copy() for array in (*digits.train, *digits.test)]
        copies[part].flat[-1] += 1
        other = kb.data.Dataset("digits", Split(*copies[:2]), Split(*copies[2:]), names)
        assert other.fingerprint() != digits.fingerprint()


@pytest.mark.parametrize("name", IDX_NAMES)
@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("separator", ["-", "."])
def test_files_of_a_folder_are_read(name, suffix, separator, tmp_path):
    written = write(tmp_path, suffix, separator)
    for folder in (tmp_path, str(tmp_path)):
        dataset = kb.data.load(name, folder)
        assert dataset.name == name
        assert dataset.input_shape == (4, 3, 1)
        assert dataset.num_classes == 10
        for split, stem in ((dataset.train, "train"), (dataset.test, "t10k")):
            assert split.images.dtype == np.float32
            assert split.labels.dtype == np.int64
            pixels = written[f"{stem}-images"][..., np.newaxis]
            assert (split.images[:, 0, 0] == -1).all()
            assert (split.images[:, 0, 1] == 1).all()
            np.testing.assert_allclose(split.images, pixels / 127.5 - 1, rtol=0, atol=1e-6)
            assert (split.labels == written[f"{stem}-labels"]).all()


def test_fashion_names_its_ten_classes(tmp_path):
    write(tmp_path)
    names = kb.data.load("fashion_mnist", tmp_path).label_names
    assert (names[0], names[9], len(set(names))) == ("T-shirt/top", "Ankle boot", 10)


@pytest.mark.parametrize("name", IDX_NAMES)
@pytest.mark.parametrize("stem", STEMS)
def test_a_missing_file_is_an_error_that_names_the_four(name, stem, tmp_path):
    write(tmp_path, ".gz")
    (tmp_path / f"{STEMS[stem]}.gz").unlink()
    message = refused(name, tmp_path)
    assert str(tmp_path) in message
    assert all(file in message for file in STEMS.values())


def test_a_folder_that_does_not_exist_is_an_error(tmp_path):
    assert str(tmp_path / "no") in refused("mnist", tmp_path / "no")


IMAGES = idx(arrays()["train-images"])
PACKED = gzip.compress(IMAGES, 1)
DAMAGED = {
    "wrong magic": (b"\x00\x00\x0d" + IMAGES[3:], "00 00 08 03"),
    "labels for images": (idx(np.arange(12)), "00 00 08 03"),
    "empty": (b"", "(none)"),
    "ends in the header": (IMAGES[:11], "header"),
    "truncated": (IMAGES[:-1], f"expected {len(IMAGES)}"),
    "too long": (IMAGES + b"\x00", f"expected {len(IMAGES)}"),
    "huge shape": (IMAGES[:4] + b"\xff" * 12 + IMAGES[16:], "damaged"),
}
DAMAGED_GZ = {
    "no gzip": (IMAGES, "no complete gzip"),
    "truncated": (PACKED[:-20], "no complete gzip"),
    "garbled": (PACKED[:20] + bytes(40) + PACKED[60:], "no complete gzip"),
    "wrong checksum": (PACKED[:-8] + bytes(4) + PACKED[-4:], "no complete gzip"),
    "wrong magic inside": (gzip.compress(b"\x89PNG"), "89 50 4e 47"),
}


@pytest.mark.parametrize(
    ("suffix", "data", "told"),
    [
        *(pytest.param("", *case, id=name) for name, case in DAMAGED.items()),
        *(pytest.param(".gz", *case, id=f"gz, {name}") for name, case in DAMAGED_GZ.items()),
    ],
)
def test_a_damaged_file_is_one_line_that_names_it(suffix, data, told, tmp_path):
    write(tmp_path, suffix)
    path = tmp_path / f"train-images-idx3-ubyte{suffix}"
    path.write_bytes(data)
    message = refused("fashion_mnist", tmp_path)
    assert str(path) in message
    assert told in message


@pytest.mark.parametrize(
    ("stem", "array", "told"),
    [
        ("train-labels", np.zeros(11), "do not belong together"),
        ("t10k-images", np.zeros((6, 4, 3)), "do not belong together"),
        ("t10k-images", np.zeros((5, 3, 4)), "one size"),
        ("t10k-images", np.zeros((5, 0, 3)), "do not belong together"),
        ("train-labels", np.full(12, 10), "a label is 10"),
    ],
    ids=["too few labels", "too many images", "other size", "no pixels", "label out of range"],
)
def test_files_that_do_not_fit_each_other_are_one_line(stem, array, told, tmp_path):
    write(tmp_path)
    (tmp_path / STEMS[stem]).write_bytes(idx(array))
    message = refused("mnist", tmp_path)
    assert told in message
    assert str(tmp_path) in message


def test_places_are_tried_in_the_documented_order(nowhere, tmp_path):
    places = [tmp_path / "given", tmp_path / "home/.keras/datasets/fashion-mnist"]
    places.append(tmp_path / "system")
    for value, place in enumerate(places):
        write(place, ".gz", value=value)

    def first_pixel(*arguments):
        dataset = kb.data.load("fashion_mnist", *arguments)
        return round((dataset.train.images[0, 0, 0, 0] + 1) * 127.5)

    assert first_pixel(places[0]) == 0
    assert first_pixel() == 1
    (places[1] / "t10k-labels-idx1-ubyte.gz").unlink()
    assert first_pixel() == 2
    assert nowhere == []
    (places[2] / "t10k-labels-idx1-ubyte.gz").unlink()
    refused("fashion_mnist")
    assert len(nowhere) == 1


def npz(path, **changed):
    made = arrays()
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = {"x_train": "train-images", "y_train": "train-labels"}
    parts |= {"x_test": "t10k-images", "y_test": "t10k-labels"}
    values = {key: made[stem] for key, stem in parts.items()} | changed
    np.savez_compressed(path, **{key: value for key, value in values.items() if value is not None})
    return path


def test_mnist_is_read_from_the_cache_of_keras(nowhere, tmp_path):
    npz(tmp_path / "home/.keras/datasets/mnist.npz")
    assert kb.data.load("mnist").train.images.shape == (12, 4, 3, 1)
    assert nowhere == []


def test_a_damaged_archive_is_one_line(nowhere, tmp_path):
    path = npz(tmp_path / "home/.keras/datasets/mnist.npz")
    whole = path.read_bytes()
    garbled = whole[:120] + b"\xff" * 60 + whole[180:]
    for data in (whole[: len(whole) // 2], garbled, b"", b"no archive"):
        path.write_bytes(data)
        assert str(path) in refused("mnist")
    np.save(path.with_suffix(".npy"), np.zeros(3))
    path.with_suffix(".npy").rename(path)
    assert str(path) in refused("mnist")
    npz(path, y_test=None)
    assert str(path) in refused("mnist")
    npz(path, x_train=np.zeros((12, 4, 3)))
    assert "uint8" in refused("mnist")


@pytest.mark.parametrize("name", IDX_NAMES)
def test_where_nothing_works_the_error_names_the_ways(name, nowhere, tmp_path):
    message = refused(name)
    assert len(nowhere) == 1
    assert "Name or service not known" in message
    assert all(file in message for file in STEMS.values())
    assert str(tmp_path / "home/.keras/datasets") in message
    assert ("dataset-fashion-mnist" in message) == (name == "fashion_mnist")


@pytest.mark.parametrize(
    "error", [OSError("disk full"), http.client.IncompleteRead(b""), ValueError("bad hash")]
)
def test_whatever_the_download_raises_is_one_line(error, nowhere, monkeypatch):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr("tf_keras.src.datasets.mnist.get_file", fail)
    assert "cannot download" in refused("mnist")


def test_a_download_prints_nothing_on_standard_output(nowhere, monkeypatch, capsys):
    made, parts = arrays(), ("train", "t10k")

    def load_data():
        print("Downloading data from ...")
        splits = [[made[f"{split}-{kind}"] for kind in ("images", "labels")] for split in parts]
        return tuple(map(tuple, splits))

    monkeypatch.setattr("tf_keras.datasets.mnist.load_data", load_data)
    assert len(kb.data.load("mnist").test.labels) == 5
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Downloading" in printed.err


@pytest.mark.slow
def test_the_debian_package_holds_all_of_fashion_mnist(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    fashion = kb.data.load("fashion_mnist")
    assert fashion.input_shape == (28, 28, 1)
    for split, count in ((fashion.train, 60_000), (fashion.test, 10_000)):
        assert split.images.shape == (count, 28, 28, 1)
        assert (split.images.min(), split.images.max()) == (-1, 1)
        assert (np.bincount(split.labels) == count // 10).all()
    # Trousers are darker around their legs than pullovers: images and labels belong together.
    mean = {label: fashion.train.images[fashion.train.labels == label].mean() for label in (1, 2)}
    assert mean[1] < mean[2]


labels_of_any_mix = st.lists(st.integers(0, 4), min_size=1, max_size=60).map(np.array)


@given(labels_of_any_mix, st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_hold_out_parts_every_class_and_keeps_the_order(labels, fraction, seed):
    # Each image holds its own index.
    images = np.arange(len(labels), dtype=np.float32).reshape(-1, 1, 1, 1)
    kept, held_out = hold_out(Split(images, labels), fraction, seed)
    indices = [split.images.ravel().astype(int) for split in (kept, held_out)]
    assert sorted([*indices[0], *indices[1]]) == list(range(len(labels)))
    for split, index in zip((kept, held_out), indices, strict=True):
        assert (np.diff(index) > 0).all()
        assert (split.labels == labels[index]).all()
    for label in np.unique(labels):
        count = round(fraction * (labels == label).sum())
        assert (held_out.labels == label).sum() == count


def test_hold_out_depends_on_its_seed_alone():
    split = Split(np.arange(200.0).reshape(-1, 1, 1, 1), np.arange(200) % 4)

    def chosen(seed):
        np.random.seed(seed + 1)  # noqa: NPY002
        return hold_out(split, 0.1, seed)[1].images.ravel().tolist()

    assert chosen(3) == chosen(3)
    assert chosen(3) != chosen(4)


def test_hold_out_copies():
    split = Split(np.zeros((4, 1, 1, 1)), np.zeros(4, int))
    for part in hold_out(split, 0.5, 0):
        part.images[:] = 1
    assert (split.images == 0).all()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"labels": np.zeros(2, int)}, "3 images and labels of shape (2,)"),
        ({"labels": np.zeros((3, 2))}, "labels of shape (3, 2)"),
        ({"labels": np.array([0, 1, 2])}, "labels from 0 to 2, expected 0 to 1"),
        ({"labels": np.array([0, 1, -1])}, "labels from -1 to 1, expected 0 to 1"),
        ({"images": np.zeros((3, 4, 4))}, "images of shape (3, 4, 4)"),
    ],
    ids=["fewer labels", "one-hot", "above the classes", "below 0", "no channels"],
)
@pytest.mark.parametrize("part", ["train", "test"])
def test_images_and_labels_that_do_not_fit_are_one_line(part, change, told):
    right = Split(np.zeros((3, 4, 4, 1), np.float32), np.array([0, 1, 1]))
    splits = {"train": right, "test": right, part: right._replace(**change)}
    with pytest.raises(InputError, match=re.escape(told)) as error:
        Dataset("mine", **splits, label_names=("no", "yes"))
    assert str(error.value).startswith(f"mine, {part}: ")
    assert "\n" not in str(error.value)


def test_a_split_is_no_plain_tuple():
    arrays = (np.zeros((3, 4, 4, 1), np.float32), np.zeros(3, int))
    with pytest.raises(InputError, match="of class tuple, expected a Split"):
        Dataset("mine", arrays, Split(*arrays), ("no", "yes"))
