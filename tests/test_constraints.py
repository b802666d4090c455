"""The constraint that keeps latent weights where gradients still reach them."""

import larq
import numpy as np
import pytest

from keras_bnn import constraints, layers
from keras_bnn._keras import keras


@pytest.mark.parametrize("clip_value", [0.5, 1.0, 2.0])
def test_values_beyond_the_edge_move_to_it_and_others_stay(clip_value):
    edge = np.float32(clip_value)
    inside = np.nextafter(edge, np.float32(0))
    outside = np.nextafter(edge, np.float32(9))
    weights = np.float32([-9, -outside, -edge, -inside, -0.0, 0, inside, edge, outside, 9])
    expected = np.float32([-edge, -edge, -edge, -inside, -0.0, 0, inside, edge, edge, edge])
    found = constraints.WeightClip(clip_value)(weights).numpy()
    assert found.tobytes() == expected.tobytes()


def test_default_is_one():
    assert constraints.WeightClip().clip_value == 1.0


def test_configuration_round_trips():
    constraint = constraints.WeightClip(0.25)
    configuration = keras.utils.serialize_keras_object(constraint)
    assert configuration["registered_name"] == "keras_bnn>WeightClip"
    again = constraints.get(configuration)
    assert type(again) is constraints.WeightClip
    assert again.clip_value == 0.25


@pytest.mark.parametrize("clip_value", [0, -1.0, float("nan")])
def test_clip_value_must_be_positive(clip_value):
    with pytest.raises(ValueError, match=r"clip_value is .*, expected a number above 0"):
        constraints.WeightClip(clip_value)


@pytest.mark.parametrize("cls", [layers.BinaryConv2D, layers.BinaryConv1D])
@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("weight_clip", constraints.WeightClip),
        ("non_neg", keras.constraints.NonNeg),
        (larq.constraints.WeightClip(0.5), larq.constraints.WeightClip),
        (None, type(None)),
    ],
    ids=["name", "name of Keras", "object", "none"],
)
def test_layers_take_names_and_objects(cls, written, expected):
    layer = cls(2, 3, kernel_constraint=written, kernel_quantizer=None)
    assert type(layer.kernel_constraint) is expected


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="wait_clip"):
        constraints.get("wait_clip")
