"""Each network of the zoo: its counts, its published weights, and its 1-bit file."""

import larq_zoo_networks
import networks
import numpy as np
import pytest
import tensorflow as tf
from published_networks import PUBLISHED

import keras_bnn as kb
from keras_bnn.errors import InputError
from keras_bnn.layers import BinaryConv2D
from keras_bnn.models import ZOO, build

layers = tf.keras.layers
SPEECH, WINDOW, IMAGENET = (49, 40, 1), (128, 9), (224, 224, 3)

# Name: reduced shape, full shape, full classes.
OTHER_SHAPES = {
    "keyword_net": (SPEECH, SPEECH, 12),
    "sensor_net": (WINDOW, WINDOW, 6),
    "binary_alexnet": ((64, 64, 3), IMAGENET, 1000),
    "xnornet": ((64, 64, 3), IMAGENET, 1000),
}
BINARY = [name for name in ZOO if not name.endswith("_float")]
NAMES = [name for name in BINARY if name != "binarynet"]


def shapes_of(name):
    return OTHER_SHAPES.get(name, ((32, 32, 3), IMAGENET, 1000))


def reduced(name, **options):
    """The network for small inputs and 10 classes, with weights as after training."""
    return settled(ZOO[name](shapes_of(name)[0], 10, **options), 64)


def settled(model, count):
    """Random scales, shifts and biases, and the means and variances of `count` samples.

    BNext multiplies values with each other: with other statistics, or those of a few values, they
    grow from block to block, and their rounding errors with them.
    """
    networks.with_trained_statistics(model)
    norms = [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    model(samples(model, count), training=True)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
    return model


def quick(names, *quick_ones):
    """All `names`; those that are not `quick_ones` run with the slow tests."""
    return [
        name if name in quick_ones else pytest.param(name, marks=pytest.mark.slow) for name in names
    ]


def samples(model, count=2):
    x = np.random.default_rng(1).normal(size=(count, *model.input_shape[1:]))
    return x.astype(np.float32)


# Parameters (all of them, with moving statistics), binary and float multiply-accumulates at full
# size.
COUNTS = {
    "binary_alexnet": (61_859_192, 768_512_000, 72_855_552),
    "binary_densenet28": (5_150_504, 3_587_383_296, 202_484_224),
    "binary_densenet37": (8_734_120, 4_506_808_320, 199_738_368),
    "binary_densenet45": (13_939_240, 6_430_556_160, 244_103_424),
    "birealnet18": (11_699_112, 1_676_279_808, 137_793_536),
    "birealnet34": (21_814_696, 3_525_967_872, 137_793_536),
    "bnext_tiny": (30_896_988, 4_816_896_000, 13_344_512),
    "keyword_net": (298_828, 23_592_960, 289_536),
    "meliusnet22": (6_969_672, 4_624_220_160, 136_388_608),
    "quicknet_small": (12_664_344, 1_156_055_040, 15_941_120),
    "quicknet": (13_243_720, 1_849_688_064, 29_651_712),
    "quicknet_large": (23_359_304, 3_699_376_128, 29_651_712),
    "reactnet_a": (29_365_480, 4_816_896_000, 11_862_016),
    "real_to_binary_net": (11_995_624, 1_676_279_808, 138_087_936),
    "resnet_e18": (11_699_368, 1_676_279_808, 137_793_536),
    "sensor_net": (88_006, 2_621_440, 258_816),
    "xnornet": (62_396_768, 1_025_744_896, 113_379_328),
}


def folded(model):
    """How many moving means and variances there are beside a scale and a bias."""
    norms = [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
    return 2 * sum(layer.moving_mean.shape[0] for layer in norms if layer.scale and layer.center)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_counts_at_full_size(name):
    _, shape, classes = shapes_of(name)
    model = ZOO[name](shape, classes)
    summary = kb.summary(model)
    found = (model.count_params(), summary.binary_macs, summary.float_macs)
    assert found == COUNTS[name]
    if name in PUBLISHED:
        check_published(PUBLISHED[name], model, summary)


def check_published(published, model, summary):
    if published.parameters:
        statistics = folded(model) if published.folded else 0
        assert model.count_params() - statistics == published.parameters
    if published.macs:
        found = (summary.binary_macs, summary.float_macs)
        if isinstance(published.macs[0], str):
            found = (f"{found[0]:.2e}", f"{found[1]:.1e}")
        assert found == published.macs
    if published.size[-2:] in ("MB", "iB"):
        megabytes = float(published.size.split()[0]) * (1.048576 if "MiB" in published.size else 1)
        # Published sizes are of kernels, biases and batch normalization, in MB of 10⁶ or 2²⁰ bytes.
        ours = summary.kernel_bytes / 1e6
        assert 0.93 * megabytes < ours < 1.06 * megabytes


@pytest.mark.parametrize(("name", "megabits"), [("birealnet18", 33.6), ("birealnet34", 43.7)])
def test_bits_of_bi_real_net_are_within_half_a_percent_of_the_papers(name, megabits):
    """A bit for a binary weight and 32 for another; the paper does not say what it leaves out."""
    model = ZOO[name](IMAGENET, 1000)
    kernels = [layer.kernel for layer in model.layers if isinstance(layer, BinaryConv2D)]
    binary = sum(np.prod(kernel.shape) for kernel in kernels)
    others = model.count_params() - folded(model) - binary
    assert (binary + 32 * others) / 1e6 == pytest.approx(megabits, rel=0.005)


@pytest.mark.parametrize("name", quick(NAMES, "keyword_net", "sensor_net", "quicknet_small"))
def test_every_binary_layer_is_1bit_and_the_file_computes_the_same(name, tmp_path):
    verified = check_export(reduced(name), tmp_path / "m.tflite")
    assert verified.undecided == 0, str(verified)


@pytest.mark.full_size
@pytest.mark.parametrize("name", NAMES)
def test_every_binary_layer_is_1bit_at_full_size(name, tmp_path):
    _, shape, classes = shapes_of(name)
    model = settled(ZOO[name](shape, classes), 8)
    check_export(model, tmp_path / "m.tflite", samples(model, 1))


def check_export(model, path, inputs=None):
    exported, _ = networks.exported(model, path)
    binary = {layer.name for layer in kb.summary(model).layers if layer.binary_macs}
    assert {fate.name for fate in exported.layers if fate.fate == "1-bit"} == binary
    others = [fate for fate in exported.layers if fate.name not in binary]
    # The stem of BinaryAlexNet, whose images are real.
    assert {fate.fate for fate in others} <= {"weights only"}
    verified = kb.export.verify(model, path, samples(model) if inputs is None else inputs)
    assert verified.ok, str(verified)
    outputs = kb.runtime.Interpreter(path).predict(samples(model, 1))
    assert outputs.shape == (1, *model.output_shape[1:])
    return verified


@pytest.mark.parametrize("name", ["binarynet", "keyword_net", "sensor_net"])
def test_small_networks_are_packed_from_the_first_binary_layer_to_the_last(name, tmp_path):
    _, graph = networks.exported(reduced(name), tmp_path / "m.tflite")
    assert [operator.name for operator in graph.operators].count("LceQuantize") == 1
    binary = [operator for operator in graph.operators if operator.name == "LceBconv2d"]
    types = [graph.tensor(operator.outputs[0]).type for operator in binary]
    assert types == ["int32"] * (len(binary) - 1) + ["float32"]


def test_bytes_that_keyword_nets_documentation_names():
    binary = [layer for layer in kb.summary(reduced("keyword_net")).layers if layer.binary_macs]
    assert sum(layer.kernel_bytes for layer in binary) == 36_864
    assert max(np.prod(layer.output_shape) for layer in binary[:-1]) / 8 == 2_080


def test_every_network_but_the_smallest_is_tested():
    assert set(NAMES) == set(COUNTS)


@pytest.mark.parametrize("include_top", [True, False], ids=["top", "features"])
@pytest.mark.parametrize("name", quick(larq_zoo_networks.NETWORKS, "birealnet18", "quicknet_small"))
def test_weights_of_larq_zoo_load_and_compute_the_same(name, include_top, tmp_path, generator):
    shape = (224, 224, 3) if name == "xnornet" else (64, 64, 3)
    check_twin(name, shape, include_top, tmp_path / "weights.h5", generator)


@pytest.mark.parametrize("name", quick(["resnet_e18", "binary_densenet28"], "resnet_e18"))
def test_the_small_stem_is_the_zoos_too(name, tmp_path, generator):
    check_twin(name, (32, 32, 3), True, tmp_path / "weights.h5", generator)


def check_twin(name, shape, include_top, path, generator):
    zoos = larq_zoo_networks.NETWORKS[name](shape, 7 if include_top else None)
    for weight in zoos.weights:
        limits = (0.5, 1.5) if "variance" in weight.name else (-1, 1)
        weight.assign(generator.uniform(*limits, weight.shape) / 2)
    zoos.save_weights(path)
    ours = ZOO[name](shape, 7, weights=path, include_top=include_top)
    assert ours.count_params() == zoos.count_params()
    x = generator.normal(size=(2, *shape)).astype(np.float32)
    found, expected = ours(x), zoos(x)
    found = tf.nn.softmax(found) if include_top else found
    # XNORNet's scales are part of the zoo's kernels, but follow our convolutions.
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    assert np.ptp(expected) > 1e-3


@pytest.mark.parametrize("name", quick(BINARY, "binarynet", "sensor_net", "xnornet"))
def test_features_are_what_the_top_reads(name, tmp_path):
    whole = reduced(name)
    features = ZOO[name](shapes_of(name)[0], 10, include_top=False)
    assert len(features.output_shape) == len(whole.input_shape)
    assert len(features.weights) < len(whole.weights)


def test_own_weights_load(tmp_path):
    model = reduced("keyword_net")
    for file in ("weights.h5", "own.weights.h5"):
        model.save_weights(tmp_path / file)
        again = ZOO["keyword_net"](SPEECH, 10, weights=tmp_path / file)
        assert (again(samples(model)).numpy() == model(samples(model)).numpy()).all()


def test_files_that_do_not_fit_are_refused_in_one_line(tmp_path):
    reduced("keyword_net").save_weights(tmp_path / "weights.h5")
    (tmp_path / "text.h5").write_text("no weights")
    for file, message in (
        ("none.h5", "There is no file"),
        ("weights.h5", "weights.h5 does not fit keyword_net"),
        ("text.h5", "text.h5 does not fit keyword_net"),
    ):
        with pytest.raises(InputError, match=message) as error:
            ZOO["keyword_net"](SPEECH, 11, weights=tmp_path / file)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", BINARY)
def test_other_inputs_are_refused(name):
    shape = shapes_of(name)[0]
    for wrong in (shape[1:], (*shape, 1), (1, *shape[1:]), (None, *shape[1:])):
        with pytest.raises(InputError, match="input_shape is ") as error:
            build(name, wrong, 10)
        assert str(wrong) in str(error.value)
    with pytest.raises(InputError, match="num_classes is 1"):
        build(name, shape, 1)
