"""The library's C functions for tests, taking the arguments of their namesakes in `reference`.

Arrays handed to C are exactly as large as they have to be, so a sanitizer sees a step outside.
"""

import ctypes

import numpy as np

from keras_bnn.bits import words_for
from keras_bnn.runtime import native

ISAS = ("portable", "avx2", "avx512", "neon")
TYPES = {"float32": 0, "int8": 1, "bool": 2, "packed": 3}
ACTIVATIONS = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6")
PADDINGS = {("valid", 0): 0, ("valid", 1): 0, ("same", 1): 1, ("same", 0): 2}


class _Error(ctypes.Structure):
    _fields_ = [("text", ctypes.c_char * 256)]


class _Quantize(ctypes.Structure):
    _fields_ = [
        ("input", ctypes.c_int),
        ("zero_point", ctypes.c_int32),
        ("rows", ctypes.c_size_t),
        ("channels", ctypes.c_size_t),
    ]


class _Dequantize(ctypes.Structure):
    _fields_ = [
        ("output", ctypes.c_int),
        ("scale", ctypes.c_float),
        ("zero_point", ctypes.c_int32),
        ("rows", ctypes.c_size_t),
        ("channels", ctypes.c_size_t),
    ]


class _Shape(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int32) for name in ("batch", "height", "width")]


class _Pool(ctypes.Structure):
    _fields_ = [
        *[
            (name, ctypes.c_int32)
            for name in (
                "words",
                "filter_height",
                "filter_width",
                "stride_height",
                "stride_width",
            )
        ],
        ("same", ctypes.c_bool),
    ]


class _Conv(ctypes.Structure):
    _fields_ = [
        *[
            (name, ctypes.c_int32)
            for name in (
                "channels_in",
                "channels_out",
                "groups",
                "kernel_height",
                "kernel_width",
                "stride_height",
                "stride_width",
                "dilation_height",
                "dilation_width",
            )
        ],
        ("padding", ctypes.c_int),
        ("activation", ctypes.c_int),
        ("output", ctypes.c_int),
        ("scale", ctypes.c_float),
        ("zero_point", ctypes.c_int32),
    ]


def _library():
    library = ctypes.CDLL(str(native.library_path()))
    for name in ("bnn_kernel_name", "bnn_isa_available"):
        getattr(library, name).restype = ctypes.c_char_p
        getattr(library, name).argtypes = [ctypes.c_size_t]
    for name in ("bnn_threads_create", "bnn_bconv2d_create"):
        getattr(library, name).restype = ctypes.c_void_p
    library.bnn_bconv2d_reshape.restype = ctypes.c_bool
    library.bnn_bmaxpool2d_shape.restype = ctypes.c_bool
    return library


LIBRARY = _library()


def _names(function) -> list[str]:
    return [name.decode() for index in range(100) if (name := function(index))]


KERNELS = [tuple(name.split()) for name in _names(LIBRARY.bnn_kernel_name)]
AVAILABLE = _names(LIBRARY.bnn_isa_available)


class Threads:
    """A pool of threads, or the caller's alone."""

    def __init__(self, count: int):
        error = _Error()
        self.pointer = LIBRARY.bnn_threads_create(count, ctypes.byref(error))
        assert self.pointer, error.text

    def __enter__(self):
        return self.pointer

    def __exit__(self, *_):
        LIBRARY.bnn_threads_free(ctypes.c_void_p(self.pointer))


def quantize(values, *, zero_point=0, isa, threads=None):
    *rows, channels = values.shape
    words = np.empty((*rows, words_for(channels)), np.int32)
    options = _Quantize(
        TYPES[values.dtype.name], zero_point, int(np.prod(rows, dtype=np.int64)), channels
    )
    LIBRARY.bnn_quantize(
        ctypes.byref(options), _pointer(values), _pointer(words), ISAS.index(isa), _void(threads)
    )
    return words


def dequantize(words, channels, dtype="float32", *, scale=1.0, zero_point=0, isa, threads=None):
    *rows, _ = words.shape
    values = np.empty((*rows, channels), dtype)
    options = _Dequantize(
        TYPES[dtype], scale, zero_point, int(np.prod(rows, dtype=np.int64)), channels
    )
    LIBRARY.bnn_dequantize(
        ctypes.byref(options), _pointer(words), _pointer(values), ISAS.index(isa), _void(threads)
    )
    return values


def bmaxpool2d(words, pool_size, strides, padding="valid", *, isa, threads=None):
    options = _Pool(words.shape[-1], *pool_size, *strides, padding == "same")
    error, given, got = _Error(), _Shape(*words.shape[:3]), _Shape()
    if not LIBRARY.bnn_bmaxpool2d_shape(
        ctypes.byref(options), given, ctypes.byref(got), ctypes.byref(error)
    ):
        raise ValueError(error.text.decode())
    output = np.empty((got.batch, got.height, got.width, words.shape[-1]), np.int32)
    LIBRARY.bnn_bmaxpool2d(
        ctypes.byref(options),
        given,
        _pointer(words),
        _pointer(output),
        ISAS.index(isa),
        _void(threads),
    )
    return output


class Bconv2d:
    """A convolution that can be run on several inputs."""

    def __init__(
        self,
        filters,
        *,
        channels_in,
        multiplier=None,
        bias=None,
        threshold=None,
        strides=(1, 1),
        dilations=(1, 1),
        padding="valid",
        pad_values=1,
        activation="NONE",
        scale=None,
        zero_point=0,
        isa,
    ):
        outputs, height, width, depth = filters.shape
        self._dtype = np.float32 if scale is None else np.int8
        self._outputs, self._packed = outputs, threshold is not None
        output = "packed" if self._packed else np.dtype(self._dtype).name
        groups = max(words_for(channels_in) // depth, 1)
        options = _Conv(
            channels_in,
            outputs,
            groups,
            height,
            width,
            *strides,
            *dilations,
            PADDINGS[padding, pad_values],
            ACTIVATIONS.index(activation),
            TYPES[output],
            scale or 0.0,
            zero_point,
        )
        error = _Error()
        if not self._packed:
            multiplier = np.ones(outputs) if multiplier is None else multiplier
            bias = np.zeros(outputs) if bias is None else bias
        vectors = [
            None if values is None else np.array(values, dtype)
            for values, dtype in (
                (multiplier, np.float32),
                (bias, np.float32),
                (threshold, np.int32),
            )
        ]
        self._conv = LIBRARY.bnn_bconv2d_create(
            ctypes.byref(options),
            _pointer(filters),
            *(None if vector is None else _pointer(vector) for vector in vectors),
            ISAS.index(isa),
            ctypes.byref(error),
        )
        if not self._conv:
            raise ValueError(error.text.decode())

    def __call__(self, words, threads=None):
        error, got = _Error(), _Shape()
        given = _Shape(*words.shape[:3])
        if not LIBRARY.bnn_bconv2d_reshape(
            _void(self._conv), given, ctypes.byref(got), ctypes.byref(error)
        ):
            raise ValueError(error.text.decode())
        last = words_for(self._outputs) if self._packed else self._outputs
        dtype = np.int32 if self._packed else self._dtype
        output = np.empty((got.batch, got.height, got.width, last), dtype)
        LIBRARY.bnn_bconv2d_run(
            _void(self._conv), _pointer(words), _pointer(output), _void(threads)
        )
        return output

    def __del__(self):
        LIBRARY.bnn_bconv2d_free(_void(getattr(self, "_conv", None)))


def bconv2d(words, filters, *, threads=None, **options):
    return Bconv2d(filters, **options)(words, threads)


def _pointer(array):
    assert array.flags.c_contiguous
    return array.ctypes.data_as(ctypes.c_void_p)


def _void(pointer):
    return ctypes.c_void_p(pointer)
