"""The real layers around binary ones: each keeps the same promises; one line a configuration."""

import networks
import numpy as np
import pytest

import keras_bnn as kb
from keras_bnn import constraints, layers, load_model
from keras_bnn._keras import keras, tf

MAP, SMALL = (6, 5, 8), (3, 4, 4)

# Name: class, arguments, shapes of the inputs.
CONFIGURATIONS = {
    "rsign": (layers.RSign, {}, [MAP]),
    "rsign ste": (layers.RSign, {"quantizer": "swish_sign"}, [MAP]),
    "rsign row": (layers.RSign, {}, [(8,)]),
    "rprelu": (layers.RPReLU, {}, [MAP]),
    "rprelu steps": (layers.RPReLU, {}, [(7, 8)]),
    "blur 3": (layers.BlurPool2D, {}, [MAP]),
    "blur 2": (layers.BlurPool2D, {"pool_size": 2, "strides": 1}, [MAP]),
    "blur 5": (layers.BlurPool2D, {"pool_size": 5, "padding": "valid"}, [MAP]),
    "gate": (layers.SqueezeExcitation, {"ratio": 2}, [MAP, SMALL]),
    "gate bias": (layers.SqueezeExcitation, {"ratio": 3, "use_bias": True}, [MAP, SMALL]),
    "gate mixes": (layers.SqueezeExcitation, {"mixes": True, "use_bias": True}, [MAP, (3, 3, 8)]),
}


def built(cls, arguments, shapes, generator, **more):
    """The layer with random weights in (0, 1), and a batch for it."""
    layer = cls(**arguments, **more)
    inputs = [generator.normal(size=(3, *shape)).astype(np.float32) for shape in shapes]
    x = inputs[0] if len(inputs) == 1 else inputs
    layer(x)
    if layer.trainable:
        layer.set_weights([generator.uniform(0.05, 0.95, w.shape) for w in layer.weights])
    return layer, x


def blurred(layer, x):
    row = {2: [1, 1], 3: [1, 2, 1], 5: [1, 4, 6, 4, 1]}[layer.pool_size]
    kernel = np.outer(row, row) / sum(row) ** 2
    size, stride = layer.pool_size, layer.strides[0]
    if layer.padding == "same":
        totals = [max((-(-n // stride) - 1) * stride + size - n, 0) for n in x.shape[1:3]]
        x = np.pad(x, [(0, 0), *((t // 2, t - t // 2) for t in totals), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), (1, 2))
    return (windows * kernel).sum((-1, -2))[:, ::stride, ::stride]


def gated(layer, inputs):
    x, source = inputs
    squeeze, excitation = layer.squeeze.get_weights(), layer.excitation.get_weights()
    z = source.mean((1, 2))
    if layer.mixes:
        share = layer.mixture.numpy()
        z = share * z + (1 - share) * x.mean((1, 2))
    hidden = np.maximum(z @ squeeze[0] + (squeeze[1] if layer.use_bias else 0), 0)
    logits = hidden @ excitation[0] + (excitation[1] if layer.use_bias else 0)
    return x / (1 + np.exp(-logits))[:, None, None]


def expected_output(layer, x):
    weights = layer.get_weights()
    if isinstance(layer, layers.RSign):
        return np.where(x >= weights[0], 1, -1)
    if isinstance(layer, layers.RPReLU):
        v = x - weights[0]
        return np.where(v >= 0, v, weights[1] * v) + weights[2]
    return blurred(layer, x) if isinstance(layer, layers.BlurPool2D) else gated(layer, x)


def shape_of(x):
    return tf.nest.map_structure(lambda array: tf.TensorShape((None, *array.shape[1:])), x)


@pytest.mark.parametrize(
    ("cls", "arguments", "shapes"), CONFIGURATIONS.values(), ids=CONFIGURATIONS
)
class TestEveryLayer:
    def test_output_is_the_numpy_computation(self, cls, arguments, shapes, generator):
        layer, x = built(cls, arguments, shapes, generator)
        np.testing.assert_allclose(layer(x), expected_output(layer, x), rtol=1e-5, atol=1e-6)

    def test_a_graph_changes_nothing(self, cls, arguments, shapes, generator):
        layer, x = built(cls, arguments, shapes, generator)
        symbolic = layer(tf.nest.map_structure(lambda a: keras.Input(a.shape[1:]), x))
        assert symbolic.shape == layer.compute_output_shape(shape_of(x))
        np.testing.assert_allclose(tf.function(layer)(x), layer(x), rtol=1e-6, atol=1e-6)

    def test_configuration_round_trips(self, cls, arguments, shapes, generator):
        layer = cls(**arguments)
        again = cls.from_config(layer.get_config())
        assert again.get_config() == layer.get_config()
        assert again.get_config().keys() >= arguments.keys()

    @pytest.mark.parametrize("dtype", ["float64", "float16", "mixed_float16"])
    def test_dtype_is_the_policys(self, cls, arguments, shapes, dtype, generator):
        layer, x = built(cls, arguments, shapes, generator, dtype=dtype)
        outputs = layer(x)
        assert outputs.dtype == layer.compute_dtype
        dtypes = {tf.as_dtype(weight.dtype).name for weight in layer.weights}
        assert dtypes == {layer.variable_dtype}
        np.testing.assert_allclose(outputs, expected_output(layer, x), rtol=1e-2, atol=1e-2)

    def test_training_moves_every_trainable_weight(self, cls, arguments, shapes, generator):
        layer, x = built(cls, arguments, shapes, generator)
        before = [weight.numpy() for weight in layer.trainable_weights]
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(x) * generator.normal(size=layer(x).shape))
        gradients = tape.gradient(loss, layer.trainable_variables)
        keras.optimizers.SGD(1.0).apply_gradients(
            zip(gradients, layer.trainable_variables, strict=True)
        )
        assert len(before) == (0 if cls is layers.BlurPool2D else len(layer.weights))
        for old, new in zip(before, layer.trainable_weights, strict=True):
            assert (old != new.numpy()).any()

    @pytest.mark.parametrize("suffix", [".keras", ".h5", ""])
    def test_saved_layers_predict_the_same(
        self, cls, arguments, shapes, suffix, generator, tmp_path
    ):
        inputs = [keras.Input(shape) for shape in shapes]
        layer, x = built(cls, arguments, shapes, generator)
        model = keras.Model(inputs, layer(inputs if len(inputs) > 1 else inputs[0]))
        model.save(tmp_path / f"model{suffix}")
        loaded = load_model(tmp_path / f"model{suffix}")
        assert type(loaded.layers[-1]) is cls
        assert (loaded(x).numpy() == model(x).numpy()).all()


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_rsign_behind_a_convolution_is_a_threshold_of_the_packed_chain(
    padding, generator, tmp_path
):
    model = networks.chain(
        networks.conv(padding=padding),
        networks.norm(),
        layers.RSign(name="threshold"),
        networks.conv(**networks.QUIET),
    )
    model.get_layer("threshold").threshold.assign(generator.normal(size=32))
    exported, graph = networks.exported(model, tmp_path / "m.tflite")
    assert [fate.fate for fate in exported.layers] == ["1-bit"] * 2
    names = [operator.name for operator in graph.operators]
    assert names == ["LceQuantize", "LceBconv2d", "LceBconv2d"]
    assert kb.export.verify(model, tmp_path / "m.tflite").ok


def test_rsign_elsewhere_is_one_subtraction(generator, tmp_path):
    model = networks.chain(layers.RSign(name="threshold"), networks.conv(**networks.QUIET))
    model.get_layer("threshold").threshold.assign(generator.normal(size=32))
    exported, graph = networks.exported(model, tmp_path / "m.tflite")
    assert [fate.fate for fate in exported.layers] == ["1-bit"]
    names = [operator.name for operator in graph.operators]
    assert names in (["SUB", "LceQuantize", "LceBconv2d"], ["ADD", "LceQuantize", "LceBconv2d"])
    assert kb.export.verify(model, tmp_path / "m.tflite").ok


def around(layer, *more):
    """A binary convolution, `layer` behind it, and another binary convolution."""
    image = keras.Input((8, 8, 32))
    x = networks.conv()(image)
    x = layer([x, image]) if isinstance(layer, layers.SqueezeExcitation) else layer(x)
    return keras.Model(image, networks.conv(**dict(more))(x))


@pytest.mark.parametrize(
    "layer",
    [
        layers.RPReLU(),
        layers.BlurPool2D(),
        layers.SqueezeExcitation(),
        layers.SqueezeExcitation(use_bias=True, mixes=True),
    ],
    ids=["rprelu", "blur", "gate", "gate mixes"],
)
def test_binary_layers_around_it_are_1bit(layer, generator, tmp_path):
    model = around(layer)
    if layer.trainable:
        layer.set_weights([generator.uniform(0.05, 0.95, w.shape) for w in layer.weights])
    exported, _ = networks.exported(model, tmp_path / "m.tflite")
    assert [fate.fate for fate in exported.layers] == ["1-bit"] * 2
    verified = kb.export.verify(model, tmp_path / "m.tflite")
    assert verified.ok
    assert not verified.unproven


def test_rprelu_becomes_one_prelu(tmp_path):
    _, graph = networks.exported(around(layers.RPReLU()), tmp_path / "m.tflite")
    assert [operator.name for operator in graph.operators].count("PRELU") == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.RSign(quantizer=None), "expected a sign quantizer"),
        (lambda: layers.RSign().build((None, None)), "fixed number of channels"),
        (lambda: layers.RPReLU().build((2, None)), "fixed number of channels"),
        (lambda: layers.BlurPool2D(4), r"pool_size is 4, expected one of \[2, 3, 5\]"),
        (lambda: layers.SqueezeExcitation(ratio=0), "ratio is 0"),
        (lambda: layers.SqueezeExcitation().build((None, 4, 4, 8)), "list of two inputs"),
        (
            lambda: layers.SqueezeExcitation(mixes=True).build([(1, 2, 2, 8), (1, 2, 2, 4)]),
            "mixes 8 channels with 4",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(make, message):
    with pytest.raises(ValueError, match=message) as error:
        make()
    assert "\n" not in str(error.value)


def test_shares_stay_between_0_and_1():
    shares = constraints.UnitInterval()(np.float32([-1, -0.0, 0.25, 1, 1.5])).numpy()
    assert shares.tolist() == [0, 0, 0.25, 1, 1]
    configuration = keras.utils.serialize_keras_object(constraints.UnitInterval())
    assert type(constraints.get(configuration)) is constraints.UnitInterval
