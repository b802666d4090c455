"""Models of every kind train, are saved in every format, and go on training after loading."""

import json
import shutil
import subprocess
import sys
import textwrap
import zipfile

import h5py
import larq
import numpy as np
import pytest

from keras_bnn import layers, load_model
from keras_bnn._keras import keras, tf
from keras_bnn.errors import InputError

SHAPE = (6, 6, 2)
SUFFIXES = {"keras": ".keras", "h5": ".h5", "saved_model": ""}


def blocks():
    return [
        layers.BinaryConv2D(4, 3, padding="same", weight_scale="mean_abs", input_scale=True),
        keras.layers.BatchNormalization(),
        keras.layers.Reshape((36, 4)),
        layers.BinaryConv1D(4, 3, strides=4, kernel_quantizer="swish_sign"),
        keras.layers.Flatten(),
        layers.BinaryDense(3, weight_scale="abs_mean", use_bias=True),
    ]


def sequential():
    return keras.Sequential([keras.Input(SHAPE), *blocks()])


def functional():
    inputs = keras.Input(SHAPE)
    x = layers.BinaryConv2D(2, 3, padding="same")(inputs)
    x = keras.layers.Add()([inputs, keras.layers.BatchNormalization()(x)])
    for layer in blocks():
        x = layer(x)
    return keras.Model(inputs, x)


def nested():
    inputs = keras.Input(SHAPE)
    inner = keras.Sequential([layers.BinaryConv2D(2, 3, padding="same", pad_values=0.0)])
    return keras.Model(inputs, sequential()(inner(inner(inputs))))


def time_distributed():
    rows = keras.layers.TimeDistributed(layers.BinaryConv1D(4, 3, padding="same"))
    return keras.Sequential([keras.Input(SHAPE), rows, *blocks()])


@keras.utils.register_keras_serializable("test_saving")
class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.blocks = blocks()

    def call(self, inputs):
        for layer in self.blocks:
            inputs = layer(inputs)
        return inputs


KINDS = [sequential, functional, nested, time_distributed, Subclassed]
# Those that hold the other kinds, or have no graph of layers.
TELLING = [nested, Subclassed]


def compiled(kind):
    keras.utils.set_random_seed(1)
    model = kind()
    model(np.zeros((1, *SHAPE), np.float32))
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model


@pytest.fixture
def data(generator):
    x = generator.standard_normal((8, *SHAPE)).astype(np.float32)
    return x, generator.integers(0, 3, 8)


@pytest.mark.parametrize(
    "kind",
    [kind if kind in TELLING else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS],
    ids=lambda kind: kind.__name__.lower(),
)
def test_fit_and_a_custom_loop_do_the_same(kind, data):
    fitted, looped = compiled(kind), compiled(kind)
    before = [weight.numpy() for weight in fitted.trainable_variables]
    fitted.fit(*data, batch_size=4, shuffle=False, epochs=2, verbose=0)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = looped.loss(y, looped(x, training=True))
        variables = looped.trainable_variables
        looped.optimizer.apply_gradients(
            zip(tape.gradient(loss, variables), variables, strict=True)
        )

    for x, y in [*tf.data.Dataset.from_tensor_slices(data).batch(4)] * 2:
        step(x, y)
    for initial, a, b in zip(
        before, fitted.trainable_variables, looped.trainable_variables, strict=True
    ):
        assert (a.numpy() != initial).any(), a.name
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-5)
        assert "kernel" not in a.name or np.abs(a.numpy()).max() <= 1


def kinds_and_suffixes():
    for kind in KINDS:
        for name, suffix in SUFFIXES.items():
            # Keras saves no subclassed model as .h5.
            if kind is not Subclassed or name != "h5":
                telling = kind in TELLING or (kind is time_distributed and name == "keras")
                slow = not telling or (kind is nested and name == "saved_model")
                marks = [pytest.mark.slow] if slow else []
                yield pytest.param(kind, suffix, id=f"{kind.__name__.lower()}-{name}", marks=marks)


@pytest.mark.parametrize(("kind", "suffix"), [*kinds_and_suffixes()])
def test_loaded_model_predicts_and_trains_on(kind, suffix, data, tmp_path):
    model = compiled(kind)
    model.run_eagerly = True
    model.train_on_batch(*data)
    model.save(tmp_path / f"model{suffix}")
    loaded = load_model(tmp_path / f"model{suffix}")
    loaded.run_eagerly = True
    assert type(loaded) is type(model)
    for layer, again in zip(model._flatten_layers(), loaded._flatten_layers(), strict=True):
        assert type(again) is type(layer)
    np.testing.assert_array_equal(loaded(data[0]), model(data[0]))
    for _ in range(2):
        assert loaded.train_on_batch(*data) == model.train_on_batch(*data)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """One model in every format, with its inputs and outputs."""
    folder = tmp_path_factory.mktemp("saved")
    model = compiled(sequential)
    x = np.random.default_rng(0).standard_normal((2, *SHAPE)).astype(np.float32)
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", model(x))
    for suffix in SUFFIXES.values():
        model.save(folder / f"model{suffix}")
    return folder


def test_tensorflow_loads_them_in_a_fresh_process(saved):
    script = """
        import keras_bnn.layers
        import numpy as np
        import tensorflow as tf
        for name in ("model.keras", "model.h5", "model"):
            model = tf.keras.models.load_model(name)
            assert type(model.layers[0]) is keras_bnn.layers.BinaryConv2D, name
            np.testing.assert_array_equal(model(np.load("x.npy")), np.load("y.npy"))
        """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], cwd=saved, check=True)


def test_without_compiling_there_is_no_optimizer(saved):
    assert load_model(str(saved / "model.keras"), compile=False).optimizer is None


def namesake():
    """A user's registered class that has the name of one of ours."""

    class BinaryDense(keras.layers.Dense):
        def call(self, inputs):
            return 100 * super().call(inputs)

    return keras.utils.register_keras_serializable("test_saving")(BinaryDense)


@pytest.mark.parametrize("suffix", SUFFIXES.values(), ids=SUFFIXES)
def test_a_layer_in_a_wrapper_is_of_the_package_it_was_of(suffix, data, tmp_path):
    kinds = [namesake(), layers.BinaryDense]
    model = keras.Sequential(
        [keras.Input(SHAPE), *(keras.layers.TimeDistributed(kind(2)) for kind in kinds)]
    )
    model.save(tmp_path / f"model{suffix}")
    for load in (load_model, keras.models.load_model):
        loaded = load(tmp_path / f"model{suffix}")
        assert [type(wrapper.layer) for wrapper in loaded.layers] == kinds
        np.testing.assert_array_equal(loaded(data[0]), model(data[0]))
    cloned = keras.models.clone_model(model)
    assert [type(wrapper.layer) for wrapper in cloned.layers] == kinds


def test_a_saved_model_frozen_after_it_began_loads_and_says_that_it_starts_anew(data, tmp_path):
    model = compiled(sequential)
    model.train_on_batch(*data)
    model.layers[0].trainable = False
    model.save(tmp_path / "model")
    with pytest.warns(UserWarning, match="optimizer starts anew"):
        loaded = load_model(tmp_path / "model")
    assert int(loaded.optimizer.iterations) == 0
    np.testing.assert_array_equal(loaded(data[0]), model(data[0]))
    loaded.train_on_batch(*data)


def test_python_code_in_a_file_runs_only_if_one_asks_for_it(tmp_path):
    path = tmp_path / "model.keras"
    keras.Sequential([keras.Input((3,)), keras.layers.Lambda(lambda x: 2 * x)]).save(path)
    refuses(path, "Lambda", "kb.load_model(path, safe_mode=False)")
    assert load_model(path, safe_mode=False)(np.ones((1, 3))).numpy().tolist() == [[2, 2, 2]]


class Unregistered(keras.layers.Layer):
    def call(self, inputs):
        return inputs


@pytest.mark.parametrize("suffix", SUFFIXES.values(), ids=SUFFIXES)
def test_unknown_classes_are_refused_unless_given(suffix, tmp_path):
    path = tmp_path / f"model{suffix}"
    keras.Sequential([layers.BinaryDense(2, input_shape=(3,)), Unregistered()]).save(path)
    refuses(path, "Unregistered", "custom_objects")
    loaded = load_model(path, {"Unregistered": Unregistered})
    assert [type(layer) for layer in loaded.layers] == [layers.BinaryDense, Unregistered]


def with_larqs_bare_function():
    layer = larq.layers.QuantDense(2, input_quantizer=larq.quantizers.ste_sign, input_shape=(3,))
    return keras.Sequential([layer])


def test_h5_models_with_larqs_bare_functions_are_refused(tmp_path):
    with_larqs_bare_function().save(tmp_path / "model.h5")
    refuses(tmp_path / "model.h5", "Keras cannot load this model")


@pytest.mark.parametrize("name", ["model.keras", "model"])
def test_models_with_larqs_bare_functions_come_back_with_quantizers(name, generator, tmp_path):
    model = with_larqs_bare_function()
    model.save(tmp_path / name)
    loaded = load_model(tmp_path / name)
    assert type(loaded.layers[0].input_quantizer) is larq.quantizers.SteSign
    x = generator.standard_normal((4, 3)).astype(np.float32)
    np.testing.assert_array_equal(loaded(x), model(x))


def refuses(path, *words):
    """Checks that the path is refused in one line of a length that people read."""
    with pytest.raises(InputError) as error:
        load_model(path)
    message = str(error.value)
    print(message)
    assert len(message) < 600
    assert "\n" not in message
    for word in (str(path), *words):
        assert word in message


@pytest.mark.parametrize("name", ["none.keras", "none.h5", "none", "no/folder.keras"])
def test_missing_paths_are_refused(name, tmp_path):
    refuses(tmp_path / name, "There is no", "expected a .keras or .h5 file")


def test_folders_that_hold_no_keras_model_are_refused(tmp_path):
    refuses(tmp_path, "without saved_model.pb")
    tf.saved_model.save(tf.Module(), tmp_path / "module")
    refuses(tmp_path / "module", "Keras 2 did not write")


@pytest.mark.parametrize("content", [b"", b"This is no model.\n"], ids=["empty", "text"])
@pytest.mark.parametrize("name", ["model.keras", "model.h5", "model.hdf5", "model.txt", "model"])
def test_other_files_are_refused(name, content, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    refuses(path)


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.999])
def test_truncated_files_are_refused(name, kept, saved, tmp_path):
    data = (saved / name).read_bytes()
    (tmp_path / name).write_bytes(data[: int(kept * len(data))])
    refuses(tmp_path / name)


def test_a_file_cut_short_is_said_to_be(saved, tmp_path):
    data = (saved / "model.keras").read_bytes()
    (tmp_path / "model.keras").write_bytes(data[: len(data) // 2])
    refuses(tmp_path / "model.keras", "damaged or cut short")


def test_a_file_of_keras_3_is_named_with_what_to_do(saved, tmp_path):
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(saved / "model.keras") as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            data = source.read(name).replace(b"batch_input_shape", b"batch_shape")
            if name == "metadata.json":
                data = b'{"keras_version": "3.10.0"}'
            target.writestr(name, data)
    refuses(path, "saved by Keras 3.10.0", "model.export(folder)")


def test_an_h5_file_of_keras_3_is_named(tmp_path):
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = "3.10.0"
        file.attrs["model_config"] = json.dumps({"class_name": "Nothing", "config": {}})
    refuses(path, "saved by Keras 3.10.0", "model.export(folder)")


def test_damaged_archives_are_refused(saved, tmp_path):
    data = bytearray((saved / "model.keras").read_bytes())
    data[len(data) // 2] ^= 0xFF
    (tmp_path / "model.keras").write_bytes(data)
    refuses(tmp_path / "model.keras", "damaged")
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as archive:
        archive.writestr("letter.txt", "No model is in here.")
    refuses(tmp_path / "other.keras", "config.json")


@pytest.mark.parametrize("damaged", ["saved_model.pb", "keras_metadata.pb", "variables"])
def test_damaged_saved_models_are_refused(damaged, saved, tmp_path):
    path = shutil.copytree(saved / "model", tmp_path / "model")
    if damaged == "variables":
        shutil.rmtree(path / damaged)
    else:
        data = (path / damaged).read_bytes()
        (path / damaged).write_bytes(data[: len(data) // 2])
    refuses(path)
