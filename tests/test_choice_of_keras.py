"""Which Keras is used, for every order of imports: each order in a Python of its own."""

import os
import subprocess
import sys
import tempfile
import textwrap
from concurrent.futures import ThreadPoolExecutor

import pytest

WORKS = """
    import numpy as np
    import keras_bnn.layers, tensorflow as tf, tf_keras, larq
    assert tf.keras.layers.Layer is tf_keras.layers.Layer
    layer = keras_bnn.layers.BinaryDense(2, kernel_initializer="ones")
    assert isinstance(layer, tf.keras.layers.Layer)
    assert isinstance(layer, larq.layers.QuantDense)
    assert layer(np.ones((1, 3), np.float32)).numpy().tolist() == [[3, 3]]
    """
REFUSED = """
    import importlib, keras_bnn
    said = set()
    for name in ("layers", "demo", "export", "models", "probe", "saving", "training"):
        try:
            importlib.import_module(f"keras_bnn.{name}")
            said.add(f"{name} can be imported")
        except ImportError as error:
            said.add(str(error))
    print("\\n".join(said))
    # What only runs models needs neither Keras.
    import keras_bnn.bits, keras_bnn.reference, keras_bnn.tflite
    """
MOVE = "Move `import keras_bnn` above the first import of tensorflow (keras, tf_keras and larq"

# Name: lines before, TF_USE_LEGACY_KERAS, lines after, what is printed.
ORDERS = {
    "keras_bnn, tensorflow, keras": (
        "import keras_bnn, tensorflow, keras; assert keras.__version__ > '3'",
        None,
        WORKS,
        "",
    ),
    "keras_bnn's layers, keras, larq": (
        "import keras_bnn.layers, keras, larq; assert keras.__version__ > '3'",
        None,
        WORKS,
        "",
    ),
    "larq, keras_bnn, flag set": ("import larq", "1", WORKS, ""),
    "tensorflow, keras, keras_bnn, flag set": ("import tensorflow, keras", "True", WORKS, ""),
    "tensorflow, keras_bnn": ("import tensorflow", None, REFUSED, MOVE),
    "keras, keras_bnn": ("import keras", None, REFUSED, MOVE),
    "tf_keras, keras_bnn": ("import tf_keras", None, REFUSED, MOVE),
    "keras_bnn, flag cleared by the user": (
        "import keras_bnn",
        "0",
        REFUSED,
        "TF_USE_LEGACY_KERAS is '0': set it to 1, or not at all.",
    ),
    "tf_keras of another version": (
        "import keras_bnn, tf_keras; tf_keras.__version__ = '2.15.1'",
        None,
        REFUSED,
        "Run: pip install tf-keras==2.",
    ),
}
# Each takes what another one takes, on a longer way.
SLOW = {
    "keras_bnn's layers, keras, larq",
    "tensorflow, keras, keras_bnn, flag set",
    "keras, keras_bnn",
    "tf_keras, keras_bnn",
}


def run(before, flag, after):
    environment = {k: v for k, v in os.environ.items() if k != "TF_USE_LEGACY_KERAS"}
    if flag is not None:
        environment["TF_USE_LEGACY_KERAS"] = flag
    script = textwrap.dedent(before) + "\n" + textwrap.dedent(after)
    return subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        # Python looks for modules here first, and is to find the installed package.
        cwd=tempfile.gettempdir(),
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def runs(request):
    """The process of each selected order; two at a time, since TensorFlow takes seconds."""
    selected = [
        item.callspec.params["order"]
        for item in request.session.items
        if "runs" in item.fixturenames
    ]
    with ThreadPoolExecutor(2) as pool:
        results = pool.map(lambda order: run(*ORDERS[order][:3]), selected)
        return dict(zip(selected, results, strict=True))


@pytest.mark.parametrize(
    "order",
    [pytest.param(order, marks=pytest.mark.slow) if order in SLOW else order for order in ORDERS],
)
def test_order_of_imports_works_or_says_which_line_to_move(order, runs):
    result = runs[order]
    assert result.returncode == 0, result.stderr
    printed, expected = result.stdout.strip(), ORDERS[order][3]
    assert "\n" not in printed
    assert expected in printed
    assert bool(expected) == bool(printed)


def check(script, flag=None):
    result = run(script, flag, "")
    assert result.returncode == 0, result.stderr


def test_importing_keras_bnn_imports_nothing_heavy():
    check("""
        import os, sys
        import keras_bnn
        heavy = {"tensorflow", "tf_keras", "keras", "larq", "larq_compute_engine", "numpy"}
        heavy |= {"ai_edge_litert", "sklearn", "typer", "rich"}
        assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()
        assert os.environ["TF_USE_LEGACY_KERAS"] == "1"
        assert set(keras_bnn.__all__) <= set(dir(keras_bnn))
        """)


def test_what_runs_models_imports_no_tensorflow():
    check("""
        import sys
        import keras_bnn.bits, keras_bnn.reference, keras_bnn.tflite, keras_bnn.runtime
        import keras_bnn.deploy.ssh
        heavy = {"tensorflow", "tf_keras", "keras", "larq", "larq_compute_engine"}
        assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()
        """)


@pytest.mark.parametrize("flag", ["0", "1", "true"])
def test_the_users_flag_stays(flag):
    check(f"import os, keras_bnn; assert os.environ['TF_USE_LEGACY_KERAS'] == {flag!r}", flag)


@pytest.mark.parametrize("package", ["tensorflow", "tf_keras", "larq"])
def test_missing_package_is_named_with_the_command_that_installs_it(package):
    # None in sys.modules makes both `import` and `find_spec` miss the package.
    check(f"""
        import os, sys
        sys.modules[{package!r}] = None
        import keras_bnn
        for name in ("layers", "quantizers", "constraints", "load_model", "summary"):
            try:
                getattr(keras_bnn, name)
                raise SystemExit(f"{{name}} was imported")
            except ImportError as error:
                message = str(error)
            name = {package!r}.replace("tensorflow", "TensorFlow")
            assert f"needs {{name}}" in message, message
            assert 'pip install "keras-bnn[train]"' in message, message
            assert chr(10) not in message
        if {package!r} == "tf_keras":
            assert "TF_USE_LEGACY_KERAS" not in os.environ
        """)


def test_unknown_names_are_attribute_errors():
    check("""
        import keras_bnn
        try:
            keras_bnn.bitz
        except AttributeError as error:
            assert "bitz" in str(error)
        else:
            raise SystemExit("found")
        """)
