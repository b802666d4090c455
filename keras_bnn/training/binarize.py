"""From a float network to a binary one."""

from collections.abc import Collection

from keras_bnn._keras import keras, larq
from keras_bnn.errors import InputError
from keras_bnn.models.rewrite import (
    batch_norms,
    by_path,
    check_rewritable,
    refuse_shared,
    rewritten,
)
from keras_bnn.models.wiring import Wiring
from keras_bnn.probe import is_quantized
from keras_bnn.signature import signature_of
from keras_bnn.training.batch_statistics import recompute_batch_statistics
from keras_bnn.training.binarize_layers import replacement
from keras_bnn.training.binarize_plan import Plan, with_kernels
from keras_bnn.training.binarize_report import Binarized

_PURPOSE = "binarize"


def binarize(model, *, keep_real: Collection[str] = (), examples=None) -> Binarized:
    """Makes a binary network of an ordinary float one, ready to be trained further.

    | in `model`                                       | in the binary network                    |
    |--------------------------------------------------|------------------------------------------|
    | layers with a kernel before or behind which none | the same, real: the first and the last   |
    | has one                                          |                                          |
    | a 1×1 convolution alone in a shortcut; the gate  | the same, real                           |
    | of a product, as in squeeze-and-excitation       |                                          |
    | depthwise, separable and transposed convolutions | the same, real                           |
    | and all others with a kernel, recurrent ones,    |                                          |
    | attention, wrappers, classes of your own         |                                          |
    | other `Conv2D`, `Conv1D`, `Dense`                | the layer of `keras_bnn.layers`          |
    | a norm behind a binary layer, a pool between     | the same; a bias in front of it is gone, |
    |                                                  | since it subtracts that                  |
    | none                                             | a new batch norm; its beta is the bias   |
    | an activation in front of a sign                 | gone: behind a ReLU the sign would be +1 |
    |                                                  | always, and it replaces any other        |
    | a dropout in front of a sign                     | gone: it would set values to +1          |
    | an activation of a binary layer with a new batch | a layer behind that, if no sign follows  |
    | norm                                             |                                          |
    | what no norm has centred, in front of a sign     | a new batch norm in between              |
    | all other layers, sums and pools among them      | the same                                 |

    "In front of a sign" is all from there back to a norm or a layer with a kernel, through pools
    and sums.

    What `padding="same"` adds is +1, or 0 where the size of the map is open, since +1 has no 1-bit
    form there. Regularizers and constraints of binary layers are left out.

    Latent weights are the float kernels, clipped to [-1, 1]. On digits, over three seeds, a
    VGG-like network and a residual one came to 89.4 to 92.2 % in 3 epochs from carried weights, and
    to 74.9 to 86.1 % from fresh ones; in 12 epochs the gain is 0.8 to 2 points for the first, and
    nothing sure for the second.

    Args:
        model: A built Sequential or functional model of float layers, trained or not; models inside
            of it are binarized too. It is left as it is.
        keep_real: More layers to keep real, by the names that the report has; or models inside.
        examples: Inputs, as `model.predict` takes them, a few hundred or more: batch norms behind
            binary layers, and new ones, get the means and variances that they have there. Without
            them these are only learnt in training, over a few hundred steps.

    Returns:
        The new model, not compiled, with the weights of `model`; and, with `print`, what became of
        each layer. It has to be trained: the signs are those of the float kernels, but what the
        network computes is not what `model` did.

    Raises:
        InputError: If the model is subclassed, not built or binary already; if no layer of it can
            be binary; if a layer that would change is called in several places, is part of several
            models, is a `Lambda`, or is of a class that cannot be copied; if `keep_real` has an
            unknown name, or the examples do not fit.

    >>> model = keras.Sequential([
    ...     keras.layers.Dense(8, activation="relu", input_shape=(4,), name="first"),
    ...     keras.layers.Dense(8, activation="relu", name="second"),
    ...     keras.layers.Dense(2, name="last"),
    ... ], name="small")
    >>> binarized = binarize(model, examples=np.zeros((100, 4)))
    >>> print(binarized)
    small_binary: 1 of 3 layers with kernels are binary
      first              kept real  first layer; its relu is gone, since a sign follows
      first_norm         inserted   batch norm behind first
      second             binary     BinaryDense; its bias is the norm's beta
      second_norm        inserted   batch norm behind second
      second_activation  moved      relu of second, behind its batch norm
      last               kept real  last layer
      note: means and variances of 2 batch norms are those of 100 examples
    >>> keras_bnn.export.to_tflite(binarized.model, "small.tflite").layers[0].fate
    '1-bit'
    """
    signature = signature_of(model)
    refuse_shared(model, _PURPOSE)
    _check_layers(model)
    arrays = None if examples is None else signature.as_inputs(examples)
    wiring = Wiring.of(model)
    _check_order(wiring)
    _check_names(wiring, keep_real)
    plan = Plan.of(wiring, keep_real)
    _check_plan(model, plan)
    replacements = {layer: replacement(layer, plan) for layer in wiring.paths}
    result = _assembled(model, model.name + "_binary", replacements)
    _carry_weights(replacements, result)
    changes = [change for each in replacements.values() for change in each.changes()]
    return Binarized(result, changes, (_with_statistics(result, plan, replacements, arrays),))


def _assembled(model, name: str, replacements: dict):
    def parts(layer) -> list:
        if isinstance(layer, keras.Model):
            return [_assembled(layer, layer.name, replacements)]
        return replacements[layer].parts

    return rewritten(model, name, parts, _PURPOSE)


def _carry_weights(replacements: dict, result) -> None:
    ours = by_path(result)
    # Also models inside, which would keep their binary layers from training if they were frozen.
    result.trainable = True
    with larq.context.quantized_scope(False):
        for each in replacements.values():
            for path, weights in each.weights():
                ours[path].set_weights(weights)
            if each.change != "binary" and each.path in ours:
                ours[each.path].trainable = each.layer.trainable
    for layer in result._flatten_layers():
        if isinstance(layer, keras.layers.Normalization) and layer.input_mean is None:
            layer.finalize_state()


def _with_statistics(result, plan: Plan, replacements: dict, arrays) -> str:
    """Sets the statistics of batch norms that fit no more, and says so."""
    binary = set(plan.binary)
    ours, norms = by_path(result), []
    for each in replacements.values():
        new = [each.path_of(part) for part in (each.before, each.behind) if part is not None]
        kept = [each.path] if each.path in ours and plan.wiring.before(each.layer) & binary else []
        norms += [norm for path in (*new, *kept) for norm in batch_norms(ours[path])]
    for norm in norms:
        norm.trainable = True
    if arrays is None:
        return (
            "means and variances of batch norms fit after a few hundred steps of training only; "
            "binarize(…, examples=…) computes them"
        )
    recompute_batch_statistics(result, norms, arrays)
    return f"means and variances of {len(norms)} batch norms are those of {len(arrays[0])} examples"


def _check_layers(model) -> None:
    check_rewritable(model, _PURPOSE)
    for layer in model._flatten_layers(include_self=False):
        kind = type(layer).__name__
        if isinstance(layer, keras.Model):
            check_rewritable(layer, _PURPOSE)
        if any(map(is_quantized, layer.weights)) or getattr(layer, "input_quantizer", None):
            raise InputError(
                f"{layer.name} ({kind}) is binary already: binarize takes a float model, such as "
                "keras_bnn.models.float_twin makes of a binary one."
            )
        if isinstance(layer, keras.layers.Lambda):
            raise InputError(
                f"{layer.name}: binarize cannot see what a Lambda computes. Replace it by layers "
                "of Keras, or by a layer class of your own."
            )


def _check_order(wiring: Wiring) -> None:
    for layer, path in wiring.paths.items():
        if layer in wiring.before(layer):
            raise InputError(
                f"{path} is called on what it gave itself: binarize cannot tell whether its first "
                "call or its last has to stay real. Give each call a layer of its own."
            )


def _check_names(wiring: Wiring, keep_real: Collection[str]) -> None:
    if isinstance(keep_real, str) or not isinstance(keep_real, Collection):
        raise InputError(f"keep_real is {keep_real!r}, expected a list of names: ['conv_2'].")
    known = [wiring.paths[layer] for layer in with_kernels(wiring)]
    models = {path[:at] for path in known for at, sign in enumerate(path) if sign == "/"}
    if unknown := [name for name in keep_real if name not in {*known, *models}]:
        raise InputError(f"keep_real names {unknown}, but the layers with kernels are {known}.")


def _check_plan(model, plan: Plan) -> None:
    if not plan.binary:
        reasons = [f"{plan.wiring.paths[layer]}: {reason}" for layer, reason in plan.real.items()]
        raise InputError(
            f"No layer of {model.name} can be binary; all that have kernels stay real "
            f"({'; '.join(reasons) or 'there are none'})."
        )
    changed = {*plan.binary, *plan.removed, *plan.linear, *plan.norm_behind}
    for layer in changed:
        if (count := plan.wiring.calls[layer]) > 1:
            raise InputError(
                f"{plan.wiring.paths[layer]} is called in {count} places, which may need "
                "different changes: give each place a layer of its own."
            )
