"""Batch statistics of all replicas together."""

from keras_bnn._keras import tf
from keras_bnn.errors import InputError
from keras_bnn.models.rewrite import batch_norms


def synchronize_batch_norm(model) -> None:
    """Lets batch normalization see the whole batch where a strategy shares it among replicas.

    With statistics of its part alone, each replica trains another network, and signs differ from
    those of a single process after one step. Call it on a model that is made or loaded inside
    `strategy.scope()`, before `fit`: Keras leaves `synchronized` out of what it saves.

    Args:
        model: A Keras model. It is changed.

    >>> model = keras_bnn.models.BinaryNet((8, 8, 1), 10)
    >>> synchronize_batch_norm(model)
    >>> model.get_layer("norm_1").synchronized
    True
    """
    for layer in batch_norms(model):
        layer.synchronized = True
        # The fused kernel knows nothing of other replicas.
        layer.fused = False


def fit_for_scope(model) -> None:
    """Synchronizes the batch norms of `model` if the strategy in scope has several replicas.

    Raises:
        InputError: If the model was made in the scope of another strategy, or of none.
    """
    strategy = tf.distribute.get_strategy()
    if not all(map(strategy.extended.variable_created_in_scope, model.weights)):
        raise InputError(
            f"{model.name} was not made in the scope of this {type(strategy).__name__}. Make the "
            "model, and run all of the recipe, inside `with strategy.scope():`."
        )
    if strategy.num_replicas_in_sync > 1:
        synchronize_batch_norm(model)
