"""Networks as other runtimes take them: writing and opening SavedModel, ONNX and TFLite.

Beside `backend` the one module that uses TensorFlow itself: converters take its functions, and no Keras models.
"""

import contextlib
import errno
import gc
import inspect
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pipeline.images.lab import MULTIPLE
from pipeline.networks import inputs
from pipeline.networks.backend import quiet
from pipeline.networks.layers import UpsamplingConvolution

Answer = Callable[..., npt.NDArray[np.float32]]

SIGNATURE = "serving_default"
OPSET = 15  # of ONNX; a newer one would add nothing that is used here
DIMENSIONS = ("batch", "height", "width")


def _doubled(inputs: Any) -> Any:
    """Nearest-neighbour upsampling by two, in operations that every runtime has for any size.

    Keras' own repeats in a way that loses the number of channels for a converter, and a resize of ONNX needs an
    attribute that is deprecated.
    """
    return tf.nn.depth_to_space(tf.concat([inputs] * 4, axis=-1), 2)


class Doubled(keras.layers.UpSampling2D):
    """`_doubled` as a layer."""

    def call(self, inputs: Any) -> Any:
        """See the class."""
        return _doubled(inputs)


class DoubledConvolution(UpsamplingConvolution):
    """The convolution of what is `_doubled`."""

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """What the bias is added to."""
        return keras.ops.conv(_doubled(inputs), kernel, padding="same")


# What a converter does not take, and what it takes instead.
REPLACED: dict[type, Any] = {keras.layers.UpSampling2D: Doubled, UpsamplingConvolution: DoubledConvolution}


def in_float32(network: keras.Model) -> keras.Model:
    """The same network computing in float32, in which its weights are kept whatever it was trained in."""
    return network if _computes_in_float32(network) else _copy(network, {})


def _computes_in_float32(network: keras.Model) -> bool:
    return all(layer.compute_dtype == "float32" for layer in network.layers)


def _copy(network: keras.Model, replaced: dict[type, Any]) -> keras.Model:
    def layer(old: keras.layers.Layer) -> keras.layers.Layer:
        return replaced.get(type(old), type(old)).from_config({**old.get_config(), "dtype": "float32"})

    copy = keras.models.clone_model(network, clone_function=layer)
    copy.set_weights(network.get_weights())
    return copy


def colouring(network: keras.Model, embed: keras.Model | None, outputs: Mapping[str, tuple[int, ...]]) -> tf.Module:
    """A module whose `colour` goes from L to ab for any height and width.

    `colour` takes `lightness` (batch, H, W) uint8, L in 8-bit units, and, where `embed` is None, the outputs of the
    embedding network by name, for example `embedding` (batch, 1000) float32. It gives
    ``{"ab": (batch, H, W, 2) float32}``. To a multiple of `MULTIPLE` pixels, the last row and column are repeated; what
    they add is cut off again.

    Args:
        network: see `builder.build`.
        embed: from L (batch, H, W) uint8 to a dict of these outputs, in float32; None where there is none inside.
        outputs: shapes of the outputs of the embedding network that the network needs.
    """
    inner = _copy(network, REPLACED)
    names = inputs.names_of(inner)

    def colour(lightness: Any, *embedded: Any) -> dict[str, Any]:
        shape = tf.shape(lightness)
        seen = tf.cast(_with_edges_repeated(lightness), tf.float32)
        found = embed(lightness, training=False) if embed else dict(zip(outputs, embedded, strict=True))
        given = inputs.arrays(names, inputs.ImageBatch(seen, found))
        return {"ab": inner(given, training=False)[:, : shape[1], : shape[2]]}

    signature = [tf.TensorSpec((None, None, None), tf.uint8, name="lightness")]
    if embed is None:
        signature += [tf.TensorSpec((None, *shape), tf.float32, name=name) for name, shape in outputs.items()]
    # The names of the arguments become those of the inputs.
    colour.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(spec.name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for spec in signature]
    )
    module = tf.Module()
    models = [inner] if embed is None else [inner, embed]
    module.kept = [variable.value for model in models for variable in model.variables]
    module.colour = tf.function(colour, input_signature=signature, autograph=False)
    return module


def _with_edges_repeated(lightness: Any) -> Any:
    """(batch, H, W) with H and W brought up to a multiple of `MULTIPLE`."""
    for axis in (1, 2):
        size = tf.shape(lightness)[axis]
        places = tf.range((size + MULTIPLE - 1) // MULTIPLE * MULTIPLE)
        lightness = tf.gather(lightness, tf.minimum(places, size - 1), axis=axis)
    return lightness


def write_saved_model(module: tf.Module, path: Path) -> None:
    """Write what `colouring` gave as a SavedModel: into the folder `path`, which may be there.

    Raises:
        OSError: the disk is full.
    """
    try:
        tf.saved_model.save(module, str(path), signatures={SIGNATURE: module.colour})
    except tf.errors.ResourceExhaustedError as error:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error


def write_onnx(module: tf.Module, path: Path) -> None:
    """Write what `colouring` gave as an ONNX file, in float32."""
    import onnx
    from tf2onnx import convert

    with _garbage_collected_often():
        model, _ = convert.from_function(module.colour, input_signature=module.colour.input_signature, opset=OPSET)
    for tensor in (*model.graph.input, *model.graph.output):
        for dimension, name in zip(tensor.type.tensor_type.shape.dim, DIMENSIONS, strict=False):
            if not dimension.dim_value:
                dimension.dim_param = name
    onnx.save(model, str(path))


@contextlib.contextmanager
def _garbage_collected_often() -> Iterator[None]:
    """Free in the block what was dropped in cycles, and little else is looked through.

    tf2onnx drops some forty copies of the graph. With the embedding network inside, 13 GiB were taken without this,
    6 GiB are with it.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.collect()
    gc.set_threshold(before[0], 2, 2)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def write_tflite(module: tf.Module, path: Path, precision: str) -> None:
    """Write what `colouring` gave as a TFLite file.

    Args:
        module: see `colouring`.
        path: the file.
        precision: ``float32``; ``float16``, weights in float16, computing in float32; or ``int8``, which is dynamic
            range: weights in int8, what layers are given quantised while they compute.
    """
    with tempfile.TemporaryDirectory() as scratch, quiet():
        write_saved_model(module, Path(scratch))
        converter = tf.lite.TFLiteConverter.from_saved_model(scratch)
        if precision != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == "float16":
            converter.target_spec.supported_types = [tf.float16]
        path.write_bytes(converter.convert())


def open_saved_model(path: Path, threads: int) -> Answer:
    """What answers with ab (batch, H, W, 2) float32, given `lightness`, and `embedding` where it is an input."""
    loaded = tf.saved_model.load(str(path))  # the threads are those that TensorFlow was started with

    def answer(**given: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        found = loaded.signatures[SIGNATURE](**{name: tf.constant(value) for name, value in given.items()})
        return np.asarray(found["ab"])

    return answer


def open_onnx(path: Path, threads: int) -> Answer:
    """The same, through ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda **given: np.asarray(session.run(["ab"], given)[0])


def open_tflite(path: Path, threads: int) -> Answer:
    """The same, through LiteRT, the interpreter of TFLite files."""
    from ai_edge_litert.interpreter import Interpreter

    with quiet():  # what computes says that it starts
        interpreter = Interpreter(str(path), num_threads=threads)
        interpreter.allocate_tensors()
    runner = interpreter.get_signature_runner(SIGNATURE)
    return lambda **given: np.asarray(runner(**given)["ab"])
