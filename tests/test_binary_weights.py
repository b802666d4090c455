"""Binary weights: what is saved in bits and loaded again predicts exactly the same."""

import json
import zipfile

import larq
import networks
import numpy as np
import pytest
import tensorflow as tf

import keras_bnn as kb
from keras_bnn import weights_file
from keras_bnn.errors import InputError
from keras_bnn.layers import BinaryConv1D, BinaryConv2D, BinaryDense

keras_layers = tf.keras.layers
LARQ = {"input_quantizer": "ste_sign", "kernel_constraint": "weight_clip"}


def _inputs(model, seed=0):
    generator = np.random.default_rng(seed)
    shapes = [spec.shape[1:] for spec in tf.nest.flatten(model.save_spec()[0][0])]
    arrays = [generator.standard_normal((4, *shape)).astype(np.float32) for shape in shapes]
    return arrays if len(arrays) > 1 else arrays[0]


def _outputs(model):
    return [output.numpy() for output in tf.nest.flatten(model(_inputs(model)))]


def _latents(model):
    with larq.context.quantized_scope(False):
        return [weight.numpy() for weight in model.weights]


def _crosses(make, path, seed=0):
    """Saves a model with weights as after training, loads them in a new one; both predict alike."""
    model = networks.with_trained_statistics(make(), seed)
    saved = kb.save_binary_weights(model, path)
    tf.keras.utils.set_random_seed(99)
    other = make()
    kb.load_binary_weights(other, path)
    for a, b in zip(_outputs(model), _outputs(other), strict=True):
        assert a.dtype == b.dtype
        assert (a == b).all()
        assert np.isfinite(a).all()
    names = {kernel.name for kernel in saved.kernels if kernel.packed}
    for a, b, weight in zip(_latents(model), _latents(other), model.weights, strict=True):
        is_packed = weight.name.split(":")[0] in names
        assert ((a >= 0) == (b >= 0)).all() if is_packed else (a == b).all(), weight.name
    return model, other, saved


def _shared():
    inputs = tf.keras.Input((16,))
    layer = BinaryDense(16, weight_scale="mean_abs")
    x = keras_layers.BatchNormalization()(layer(inputs))
    return tf.keras.Model(inputs, keras_layers.Dense(3)(layer(x) + x))


def _nested():
    inner = tf.keras.Sequential(
        [BinaryConv2D(6, 3, weight_scale="abs_mean"), keras_layers.BatchNormalization()]
    )
    rows = keras_layers.TimeDistributed(BinaryConv1D(4, 3, kernel_quantizer="swish_sign"))
    return tf.keras.Sequential(
        [tf.keras.Input((7, 7, 3)), inner, tf.keras.Sequential([rows]), keras_layers.Flatten()]
    )


def _other_larq_layers():
    separable = {"depthwise_quantizer": "ste_sign", "pointwise_quantizer": "magnitude_aware_sign"}
    return tf.keras.Sequential(
        [
            tf.keras.Input((8, 8, 4)),
            larq.layers.QuantSeparableConv2D(6, 3, input_quantizer="ste_sign", **separable),
            larq.layers.QuantDepthwiseConv2D(3, depthwise_quantizer="magnitude_aware_sign"),
            larq.layers.QuantConv2DTranspose(5, 3, kernel_quantizer="magnitude_aware_sign", **LARQ),
            larq.layers.QuantLocallyConnected2D(2, 3, kernel_quantizer="approx_sign", **LARQ),
        ]
    )


MODELS = (*networks.MAIN, _shared, _nested, _other_larq_layers)


@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__.strip("_"))
def test_a_model_of_the_same_architecture_predicts_the_same(make, tmp_path):
    _, _, saved = _crosses(make, tmp_path / "weights.npz")
    assert saved.kernels
    assert all(kernel.packed and kernel.reason is None for kernel in saved.kernels)


SCALED = {
    "mean_abs": {"weight_scale": "mean_abs"},
    "abs_mean": {"weight_scale": "abs_mean"},
    "magnitude_aware_sign": {"kernel_quantizer": "magnitude_aware_sign"},
}


@pytest.mark.parametrize("options", SCALED.values(), ids=SCALED)
@pytest.mark.parametrize("features", [1, 2, 7, 33, 1001, 5000])
def test_scales_come_back_as_the_same_floats(features, options, generator, tmp_path):
    model = tf.keras.Sequential([BinaryDense(301, **options, input_shape=(features,))])
    spread = np.exp2(generator.integers(-20, 20, 301))
    model.set_weights([(generator.standard_normal((features, 301)) * spread).astype(np.float32)])
    saved = kb.save_binary_weights(model, tmp_path / "w.npz")
    assert saved.kernels[0].packed
    expected = _reading(model.layers[0])
    (original,) = model.get_weights()
    kb.load_binary_weights(model, tmp_path / "w.npz")
    assert (model.get_weights()[0] != original).any() or features == 1
    for a, b in zip(expected, _reading(model.layers[0]), strict=True):
        assert (a == b).all()


def _reading(layer):
    with larq.context.quantized_scope(True):
        values = tf.convert_to_tensor(layer.kernel).numpy()
    factor = layer.weight_factor()
    return values, np.float32(1) if factor is None else factor.numpy()


@pytest.mark.parametrize("kind", ["mean_abs", "abs_mean"])
def test_scales_are_the_same_in_every_order_of_summation(kind, generator, tmp_path):
    model = tf.keras.Sequential([BinaryDense(50, weight_scale=kind, input_shape=(777,))])
    kb.save_binary_weights(model, tmp_path / "w.npz")
    kb.load_binary_weights(model, tmp_path / "w.npz")
    (latent,) = model.get_weights()
    terms = np.abs(latent) if kind == "mean_abs" else latent
    exact = np.abs(terms.astype(np.float64).sum(axis=0))
    for _ in range(5):
        # `accumulate` adds one by one, in float32.
        sums = np.add.accumulate(generator.permutation(terms), axis=0)[-1]
        assert (np.abs(sums) == exact).all()


@pytest.mark.parametrize("options", [{}, *SCALED.values()], ids=["sign", *SCALED])
def test_ties_and_channels_of_zeros(options, tmp_path):
    def make():
        return tf.keras.Sequential([BinaryDense(6, **options, input_shape=(4,))])

    model, other = make(), make()
    # A channel of zeros, of mixed zeros, of mean 0, of one sign each, and of tiny numbers.
    columns = [
        [0.0, 0.0, 0.0, 0.0],
        [-0.0, 0.0, -0.0, 0.5],
        [1.0, -1.0, 2.0, -2.0],
        [-1.0, -2.0, -3.0, -4.0],
        [0.1, 0.2, 0.3, 0.4],
        [-1e-30, 1e-30, 1e-30, -0.0],
    ]
    model.set_weights([np.float32(columns).T])
    saved = kb.save_binary_weights(model, tmp_path / "w.npz")
    assert saved.kernels[0].packed
    kb.load_binary_weights(other, tmp_path / "w.npz")
    for a, b in zip(_reading(model.layers[0]), _reading(other.layers[0]), strict=True):
        assert np.array_equal(a, b)
    if not options:
        signs = np.where(other.get_weights()[0] >= 0, 1, -1)
        assert signs.T.tolist()[1:3] == [[1, 1, 1, 1], [1, -1, 1, -1]]


@pytest.mark.parametrize("options", [{}, *SCALED.values()], ids=["sign", *SCALED])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "mixed_float16"])
def test_other_dtypes(dtype, options, tmp_path):
    def make():
        return tf.keras.Sequential(
            [
                tf.keras.Input((65,)),
                BinaryDense(20, dtype=dtype, **options),
                keras_layers.Dense(3, dtype=dtype),
            ]
        )

    model = make()
    kernel = model.get_weights()[0]
    # Under mixed precision these read as +1 although they are below 0.
    kernel[::5] = -1e-9
    model.layers[0].set_weights([kernel])
    saved = kb.save_binary_weights(model, tmp_path / "w.npz")
    other = make()
    kb.load_binary_weights(other, tmp_path / "w.npz")
    for a, b in zip(_outputs(model), _outputs(other), strict=True):
        assert (a == b).all()
    # bfloat16 is summed in float32, so no sum of signed numbers comes out exact.
    assert saved.kernels[0].packed == (dtype != "bfloat16" or options != SCALED["abs_mean"])


@tf.keras.utils.register_keras_serializable("test_binary_weights")
def _sign_of_magnitude(x):
    return tf.where(tf.abs(x) >= 0.5, 1.0, -1.0)


@tf.keras.utils.register_keras_serializable("test_binary_weights")
def _half_sign(x):
    return tf.where(x >= 0.0, 0.5, -0.5)


class _WithItsOwnCall(BinaryDense):
    def call(self, inputs):
        return super().call(inputs) * tf.reduce_mean(tf.abs(self.kernel))


FLOAT = {
    "ternary": (lambda: BinaryDense(8, kernel_quantizer="ste_tern"), "other values"),
    "two bits": (
        lambda: BinaryDense(8, kernel_quantizer=larq.quantizers.DoReFa(2, "weights")),
        "other values",
    ),
    "zero or one": (lambda: BinaryDense(8, kernel_quantizer="ste_heaviside"), "other values"),
    "marked only": (
        lambda: BinaryDense(8, kernel_quantizer=larq.quantizers.NoOp(precision=1)),
        "other values",
    ),
    "magnitude": (lambda: BinaryDense(8, kernel_quantizer=_sign_of_magnitude), "no latent weights"),
    "call": (lambda: _WithItsOwnCall(8), "_WithItsOwnCall has a call of its own"),
}


@pytest.mark.parametrize(("layer", "reason"), FLOAT.values(), ids=FLOAT)
def test_kernels_that_signs_do_not_hold_stay_float_and_say_why(layer, reason, generator, tmp_path):
    def make():
        return tf.keras.Sequential([tf.keras.Input((20,)), layer(), keras_layers.Dense(2)])

    model = make()
    values = [generator.normal(0.3, 1, size=weight.shape) for weight in model.weights]
    model.set_weights(values)
    saved = kb.save_binary_weights(model, tmp_path / "w.npz")
    assert [kernel.packed for kernel in saved.kernels] == [False]
    assert reason in saved.kernels[0].reason
    assert reason in str(saved)
    other = make()
    kb.load_binary_weights(other, tmp_path / "w.npz")
    for a, b in zip(_latents(model), _latents(other), strict=True):
        assert (a == b).all()


@pytest.mark.parametrize("options", [{}, *SCALED.values()], ids=["sign", *SCALED])
def test_weights_that_are_no_numbers_cross_as_they_are(options, tmp_path):
    model = tf.keras.Sequential([BinaryDense(2, **options, input_shape=(3,))])
    model.set_weights([np.float32([[np.nan, 1], [-1, np.inf], [2, -3]])])
    before, values = _latents(model), _reading(model.layers[0])
    kernel = kb.save_binary_weights(model, tmp_path / "w.npz").kernels[0]
    assert not kernel.packed
    kb.load_binary_weights(model, tmp_path / "w.npz")
    np.testing.assert_array_equal(_latents(model), before)
    for a, b in zip(values, _reading(model.layers[0]), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_quantizer_of_ones_own_is_packed_where_it_is_a_scaled_sign(tmp_path):
    def make():
        return tf.keras.Sequential(
            [
                tf.keras.Input((20,)),
                BinaryDense(8, kernel_quantizer=_half_sign),
                larq.layers.QuantDense(8, kernel_quantizer=larq.quantizers.DoReFa(1, "weights")),
            ]
        )

    _, _, saved = _crosses(make, tmp_path / "w.npz")
    assert [kernel.packed for kernel in saved.kernels] == [True, True]


def test_latents_keep_the_mean_magnitude_of_their_kernel(tmp_path):
    quantizer = kb.quantizers.SteSign(clip_value=0.25)
    layer = BinaryDense(8, kernel_quantizer=quantizer, input_shape=(8,))
    model = tf.keras.Sequential([layer])
    model.set_weights([np.where(np.arange(64).reshape(8, 8) % 3, 0.125, -0.125)])
    kb.save_binary_weights(model, tmp_path / "w.npz")
    (before,) = model.get_weights()
    kb.load_binary_weights(model, tmp_path / "w.npz")
    # ±1 would lie where this quantizer lets no gradient pass, so that nothing could be fine-tuned.
    assert (model.get_weights()[0] == before).all()


def test_counters_and_frozen_weights_cross(tmp_path):
    def make():
        norm = keras_layers.BatchNormalization()
        model = tf.keras.Sequential([tf.keras.Input((4,)), BinaryDense(5), norm, BinaryDense(3)])
        model.counter = tf.Variable(0, dtype=tf.int64, trainable=False, name="counter")
        return model

    model = make()
    model.counter.assign(2**40)
    model.layers[0].trainable = False
    kb.save_binary_weights(model, tmp_path / "w.npz")
    other = make()
    other.layers[1].trainable = False
    kb.load_binary_weights(other, tmp_path / "w.npz")
    assert other.counter.numpy() == 2**40
    assert (_outputs(model)[0] == _outputs(other)[0]).all()


def test_what_was_loaded_trains_and_exports(tmp_path):
    model, other, _ = _crosses(_shared, tmp_path / "w.npz")
    written, _ = networks.exported(model, tmp_path / "a.tflite")
    again, _ = networks.exported(other, tmp_path / "b.tflite")
    assert [layer.fate for layer in again.layers] == [layer.fate for layer in written.layers]
    other.compile("sgd", "mse", run_eagerly=True)
    other.train_on_batch(np.ones((2, 16)), np.ones((2, 3)))


def test_a_quantized_scope_around_changes_nothing(tmp_path):
    model = tf.keras.Sequential([BinaryDense(5, weight_scale="mean_abs", input_shape=(9,))])
    kb.save_binary_weights(model, tmp_path / "a.npz")
    with larq.context.quantized_scope(True):
        kb.save_binary_weights(model, tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_size(tmp_path):
    model = tf.keras.Sequential(
        [
            BinaryConv2D(256, 3, input_shape=(8, 8, 128)),
            keras_layers.BatchNormalization(),
            larq.layers.QuantConv2D(100, 3, kernel_quantizer="magnitude_aware_sign", **LARQ),
        ]
    )
    saved = kb.save_binary_weights(model, tmp_path / "w.npz")
    signs = [9 * 128 * 256, 9 * 256 * 100]
    assert [kernel.bytes for kernel in saved.kernels] == [signs[0] // 8, signs[1] // 8 + 4 * 100]
    assert [kernel.latent_bytes for kernel in saved.kernels] == [4 * count for count in signs]
    assert saved.latent_bytes == 4 * (sum(signs) + 4 * 256 + 100)
    assert saved.bytes == (tmp_path / "w.npz").stat().st_size
    floats = 4 * (4 * 256 + 2 * 100)
    assert saved.bytes < sum(signs) // 8 + floats + 2000
    assert json.loads(json.dumps(saved.to_dict()))["bytes"] == saved.bytes


def _small():
    return tf.keras.Sequential(
        [
            BinaryDense(40, weight_scale="mean_abs", input_shape=(30,), name="first"),
            keras_layers.BatchNormalization(name="norm"),
            BinaryDense(3, name="second"),
        ]
    )


def _refuses(model, path, *words):
    """Checks that `path` is refused in one line, and that `model` is as it was."""
    before = _latents(model)
    with pytest.raises(InputError) as error:
        kb.load_binary_weights(model, path)
    message = str(error.value)
    print(message)
    assert "\n" not in message
    assert len(message) < 400
    for word in (str(path), *words):
        assert word in message
    for a, b in zip(before, _latents(model), strict=True):
        assert (a == b).all()


OTHERS = {
    "fewer weights": (lambda: [BinaryDense(40), BinaryDense(3)], "holds 6 weights", "has 2"),
    "other width": (
        lambda: [BinaryDense(41), keras_layers.BatchNormalization(), BinaryDense(3)],
        "first/kernel of shape (30, 40)",
        "(30, 41)",
    ),
    "other order": (
        lambda: [BinaryDense(40), BinaryDense(40), keras_layers.BatchNormalization()],
        "norm/gamma",
        "kernel",
    ),
    "other dtype": (
        lambda: [
            BinaryDense(40, weight_scale="mean_abs"),
            keras_layers.BatchNormalization(),
            BinaryDense(3, dtype="float64"),
        ],
        "second/kernel of shape (40, 3), float32",
        "float64",
    ),
    "no scale": (
        lambda: [BinaryDense(40), keras_layers.BatchNormalization(), BinaryDense(3)],
        "first/kernel as signs and scales",
        "weight_scale",
    ),
    "a scale too many": (
        lambda: [
            BinaryDense(40, weight_scale="mean_abs"),
            keras_layers.BatchNormalization(),
            BinaryDense(3, kernel_quantizer="magnitude_aware_sign"),
        ],
        "second/kernel as signs,",
        "quantizer",
    ),
    "no quantizer": (
        lambda: [
            BinaryDense(40, weight_scale="mean_abs"),
            keras_layers.BatchNormalization(),
            keras_layers.Dense(3, use_bias=False),
        ],
        "second/kernel as signs,",
        "quantizer",
    ),
}


@pytest.mark.parametrize(("layers", "held", "has"), OTHERS.values(), ids=OTHERS)
def test_other_architectures_are_refused(layers, held, has, tmp_path):
    kb.save_binary_weights(_small(), tmp_path / "w.npz")
    model = tf.keras.Sequential([tf.keras.Input((30,)), *layers()])
    _refuses(model, tmp_path / "w.npz", held, has)


def test_missing_files_and_folders_are_refused(tmp_path):
    _refuses(_small(), tmp_path / "none.npz", "There is no file")
    _refuses(_small(), tmp_path, "There is no file")


@pytest.mark.parametrize("content", [b"", b"This holds no weights.\n"], ids=["empty", "text"])
def test_other_files_are_refused(content, tmp_path):
    (tmp_path / "w.npz").write_bytes(content)
    _refuses(_small(), tmp_path / "w.npz", "no file of save_binary_weights")


def test_other_files_of_numpy_are_refused(tmp_path):
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    _refuses(_small(), tmp_path / "other.npz", "no file of save_binary_weights")
    np.savez(tmp_path / "header.npz", header=np.frombuffer(b'{"format": "x"}', np.uint8))
    _refuses(_small(), tmp_path / "header.npz", "no file of save_binary_weights")
    np.save(tmp_path / "array.npy", np.ones(3))
    _refuses(_small(), tmp_path / "array.npy", "no file of save_binary_weights")
    np.savez(tmp_path / "pickle.npz", header=np.array([{"a": 1}], object))
    _refuses(_small(), tmp_path / "pickle.npz", "no file of save_binary_weights")


def test_every_truncation_and_every_changed_byte_is_refused_or_harmless(tmp_path, generator):
    kb.save_binary_weights(_small(), tmp_path / "w.npz")
    data = (tmp_path / "w.npz").read_bytes()
    path, model = tmp_path / "damaged.npz", _small()
    kb.load_binary_weights(model, tmp_path / "w.npz")
    for length in generator.integers(0, len(data), 60):
        path.write_bytes(data[:length])
        _refuses(model, path)
    refused, expected = 0, _latents(model)
    for place in generator.integers(0, len(data), 200):
        changed = bytearray(data)
        changed[place] ^= 1 << int(generator.integers(8))
        path.write_bytes(changed)
        try:
            kb.load_binary_weights(model, path)
        except InputError:
            refused += 1
        # A date in the archive means nothing; its sums of the members find all else.
        for a, b in zip(expected, _latents(model), strict=True):
            assert (a == b).all(), place
    assert refused > 100


def _rewritten(path, **members):
    """The file at `path` with some members replaced, its sums right again."""
    with np.load(path) as archive:
        arrays = dict(archive)
    for name, change in members.items():
        arrays[name] = change(arrays[name])
    np.savez(path, **arrays)


def _header(change):
    def apply(array):
        header = json.loads(array.tobytes())
        change(header)
        return np.frombuffer(json.dumps(header).encode(), np.uint8)

    return apply


LIES = {
    "too few bits": ({"bits": lambda array: array[:-1]}, "damaged"),
    "too many floats": ({"float32": lambda array: np.append(array, np.float32(1))}, "damaged"),
    "other type": ({"float32": lambda array: array.astype(np.float64)}, "damaged"),
    "bits past the last": ({"bits": lambda array: array | np.int32(-(2**31))}, "damaged"),
    "no weights": ({"header": _header(lambda h: h.pop("weights"))}, "damaged"),
    "negative": ({"header": _header(lambda h: h["weights"][0].update(shape=[-3, 40]))}, "damaged"),
    "huge": ({"header": _header(lambda h: h["weights"][0].update(shape=[2**40, 2]))}, "damaged"),
    "unknown type": (
        {"header": _header(lambda h: h["weights"][1].update(dtype="object"))},
        "damaged",
    ),
    "version": ({"header": _header(lambda h: h.update(version=2))}, "version 2"),
}


@pytest.mark.parametrize(("members", "word"), LIES.values(), ids=LIES)
def test_files_that_contradict_themselves_are_refused(members, word, tmp_path):
    kb.save_binary_weights(_small(), tmp_path / "w.npz")
    _rewritten(tmp_path / "w.npz")
    kb.load_binary_weights(_small(), tmp_path / "w.npz")
    _rewritten(tmp_path / "w.npz", **members)
    _refuses(_small(), tmp_path / "w.npz", word)


def test_an_interrupt_leaves_the_model_as_it_was(tmp_path, monkeypatch):
    kb.save_binary_weights(_small(), tmp_path / "w.npz")
    model = _small()
    before = _latents(model)
    variable = type(model.layers[1].moving_variance)
    assign, calls = variable.assign, []

    def interrupted(self, value, *args, **kwargs):
        calls.append(self.name)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return assign(self, value, *args, **kwargs)

    monkeypatch.setattr(variable, "assign", interrupted)
    with pytest.raises(KeyboardInterrupt):
        kb.load_binary_weights(model, tmp_path / "w.npz")
    assert len(calls) > 4
    for a, b in zip(before, _latents(model), strict=True):
        assert (a == b).all()


def test_an_interrupted_save_leaves_the_earlier_file(tmp_path, monkeypatch):
    path = tmp_path / "w.npz"
    kb.save_binary_weights(_small(), path)
    earlier = path.read_bytes()

    def full(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(weights_file.np, "savez_compressed", full)
    with pytest.raises(InputError, match="No space left"):
        kb.save_binary_weights(_small(), path)
    assert path.read_bytes() == earlier
    assert list(tmp_path.iterdir()) == [path]


def test_unbuilt_models_and_other_objects_are_refused(tmp_path):
    kb.save_binary_weights(_small(), tmp_path / "w.npz")
    for model in (tf.keras.Sequential([BinaryDense(3)]), networks.Subclassed(), "model"):
        for call in (kb.save_binary_weights, kb.load_binary_weights):
            with pytest.raises(InputError) as error:
                call(model, tmp_path / "w.npz")
            assert "\n" not in str(error.value)


def test_folders_that_do_not_exist_are_refused(tmp_path):
    with pytest.raises(InputError, match="no folder"):
        kb.save_binary_weights(_small(), tmp_path / "none" / "w.npz")


def test_numpy_alone_reads_the_file(tmp_path):
    model = tf.keras.Sequential([BinaryDense(33, input_shape=(2,), name="layer")])
    kb.save_binary_weights(model, tmp_path / "w")
    assert zipfile.is_zipfile(tmp_path / "w")
    with np.load(tmp_path / "w", allow_pickle=False) as archive:
        header = json.loads(archive["header"].tobytes())
        signs = kb.bits.unpack(archive["bits"], 66).reshape(header["weights"][0]["shape"])
    assert header["weights"][0]["name"] == "layer/kernel"
    assert (signs == np.where(model.get_weights()[0] >= 0, 1, -1)).all()
