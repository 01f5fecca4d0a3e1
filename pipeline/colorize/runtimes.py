"""Write and open networks as SavedModel, ONNX and TFLite.

Besides `backend`, only this module uses TensorFlow itself: converters accept its functions but not Keras models.
"""

import contextlib
import errno
import gc
import inspect
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pipeline.colorize import sessions
from pipeline.images.lab import MULTIPLE
from pipeline.networks import inputs
from pipeline.networks.backend import policy, quiet
from pipeline.networks.layers import BilinearUpsampling, UpsamplingConvolution

Answer = Callable[..., npt.NDArray[np.float32]]

SIGNATURE = "serving_default"
OPSET = 15  # of ONNX; newer ones add nothing that is used here
LARGE = 1024  # numbers in a weight that `halve_onnx` stores in float16
DIMENSIONS = ("batch", "height", "width")


def _doubled(inputs: Any) -> Any:
    """Upsample by two (nearest neighbour) with operations that every runtime supports at any size.

    With Keras' own, a converter loses the number of channels; ONNX's resize needs a deprecated attribute.
    """
    return tf.nn.depth_to_space(tf.concat([inputs] * 4, axis=-1), 2)


class Doubled(keras.layers.UpSampling2D):
    """`_doubled` as a layer; a bilinear upsampling, which networks of a fixed size have, stays Keras' own."""

    def call(self, inputs: Any) -> Any:
        """See the class."""
        return _doubled(inputs) if self.interpolation == "nearest" else super().call(inputs)


class DoubledConvolution(UpsamplingConvolution):
    """Convolution after `_doubled`."""

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """Convolve, without the bias."""
        return keras.ops.conv(_doubled(inputs), kernel, padding="same")


class Resized(BilinearUpsampling):
    """Bilinear upsampling as a resize."""

    def call(self, picture: Any) -> Any:
        """See the class."""
        return tf.image.resize(picture, tf.shape(picture)[1:3] * self.factor)


# Layers that converters do not support, and their replacements.
REPLACED: dict[type, Any] = {
    keras.layers.UpSampling2D: Doubled,
    UpsamplingConvolution: DoubledConvolution,
    BilinearUpsampling: Resized,
}


def in_float32(network: keras.Model) -> keras.Model:
    """Return the network computing in float32, the type of its weights whatever it was trained in."""
    return network if all(layer.compute_dtype == "float32" for layer in network.layers) else _copy(network, {})


def _copy(network: keras.Model, replaced: dict[type, Any]) -> keras.Model:
    def layer(old: keras.layers.Layer) -> keras.layers.Layer:
        return replaced.get(type(old), type(old)).from_config({**old.get_config(), "dtype": "float32"})

    with policy("float32"):
        copy = keras.models.clone_model(network, clone_function=layer)
    copy.set_weights(network.get_weights())
    return copy


def colouring(
    network: keras.Model,
    embed: keras.Model | None,
    outputs: Mapping[str, tuple[int, ...]],
    answers: Sequence[str] = ("ab",),
) -> tf.Module:
    """Return a module whose `colour` predicts ab from L of any height and width, unless the network has a fixed size.

    `colour` takes `lightness` (batch, H, W) uint8, L in 8-bit units, and, if `embed` is None, the embedding network's
    outputs by name, for example `embedding` (batch, 1000) float32. It returns ``{"ab": (batch, H, W, 2) float32}``. The
    last row and column are repeated up to a multiple of `MULTIPLE` pixels; the answer is cropped.

    Args:
        network: see `builder.build`.
        embed: computes these outputs, a dict of float32, from L (batch, H, W) uint8; None to make them inputs.
        outputs: shapes of the embedding network's outputs that the network needs.
        answers: names of the network's outputs, in their order.
    """
    inner = _copy(network, REPLACED)
    names = inputs.names_of(inner)

    def colour(lightness: Any, *embedded: Any) -> dict[str, Any]:
        shape = tf.shape(lightness)
        seen = tf.cast(_with_edges_repeated(lightness), tf.float32)
        by_name = embed(lightness, training=False) if embed else dict(zip(outputs, embedded, strict=True))
        arrays = inputs.arrays(names, inputs.ImageBatch(seen, by_name))
        found = keras.tree.flatten(inner(arrays, training=False))
        return {name: each[:, : shape[1], : shape[2]] for name, each in zip(answers, found, strict=True)}

    size = inputs.fixed_size(network) or (None, None)
    signature = [tf.TensorSpec((None, *size), tf.uint8, name="lightness")]
    if embed is None:
        signature += [tf.TensorSpec((None, *shape), tf.float32, name=name) for name, shape in outputs.items()]
    # The export's inputs are named after the arguments.
    colour.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(spec.name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for spec in signature]
    )
    module = tf.Module()
    models = [inner] if embed is None else [inner, embed]
    module.kept = [variable.value for model in models for variable in model.variables]
    module.colour = tf.function(colour, input_signature=signature, autograph=False)
    return module


def computing(network: keras.Model, given: str, answer: str) -> tf.Module:
    """Return a module for `write_onnx`, of a network of a fixed size from one input (1, h, w, c) to one output.

    Args:
        network: in float32.
        given: name of the input.
        answer: name of the output.
    """

    def colour(values: Any) -> dict[str, Any]:
        return {answer: network(values, training=False)}

    module = tf.Module()
    module.kept = [variable.value for variable in network.variables]
    signature = [tf.TensorSpec((1, *network.input_shape[1:]), tf.float32, name=given)]
    module.colour = tf.function(colour, input_signature=signature, autograph=False)
    return module


def _with_edges_repeated(lightness: Any) -> Any:
    """Pad (batch, H, W) to multiples of `MULTIPLE`."""
    for axis in (1, 2):
        size = tf.shape(lightness)[axis]
        places = tf.range((size + MULTIPLE - 1) // MULTIPLE * MULTIPLE)
        lightness = tf.gather(lightness, tf.minimum(places, size - 1), axis=axis)
    return lightness


def write_saved_model(module: tf.Module, path: Path) -> None:
    """Write the module of `colouring` as a SavedModel into the folder `path`, which may exist.

    Raises:
        OSError: the disk is full.
    """
    try:
        tf.saved_model.save(module, str(path), signatures={SIGNATURE: module.colour})
    except tf.errors.ResourceExhaustedError as error:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error


def write_onnx(module: tf.Module, path: Path) -> None:
    """Write the module of `colouring` as an ONNX file in float32."""
    import onnx
    from tf2onnx import convert

    with _garbage_collected_often():
        model, _ = convert.from_function(module.colour, input_signature=module.colour.input_signature, opset=OPSET)
    for tensor in (*model.graph.input, *model.graph.output):
        for dimension, name in zip(tensor.type.tensor_type.shape.dim, DIMENSIONS, strict=False):
            if not dimension.dim_value:
                dimension.dim_param = name
    _name_by_order(model.graph)
    onnx.save(model, str(path))


def _name_by_order(graph: Any) -> None:
    """Name nodes and tensors of an ONNX graph by their order, because tf2onnx' names depend on hashes of text.

    Its description names a function of TensorFlow, with a number that counts those of the process.
    """
    graph.doc_string = ""
    kept = {value.name for value in (*graph.input, *graph.output)}
    names: dict[str, str] = {}

    def renamed(name: str) -> str:
        return names.setdefault(name, f"tensor_{len(names)}") if name and name not in kept else name

    for number, node in enumerate(graph.node):
        node.name = f"{node.op_type}_{number}"
        node.input[:] = [renamed(name) for name in node.input]
        node.output[:] = [renamed(name) for name in node.output]
    weights = sorted(graph.initializer, key=lambda tensor: int(renamed(tensor.name).rpartition("_")[2]))
    for tensor in weights:
        tensor.name = names[tensor.name]
    del graph.initializer[:], graph.value_info[:]
    graph.initializer.extend(weights)


def halve_onnx(path: Path) -> None:
    """Store the large weights of an ONNX file in float16; they are cast to float32 when it is opened."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(str(path))
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and math.prod(tensor.dims) >= LARGE:
            name, values = tensor.name, numpy_helper.to_array(tensor)
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}/float16"))
            casts.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


@contextlib.contextmanager
def _garbage_collected_often() -> Iterator[None]:
    """Collect cyclic garbage often in the block, without going through older objects each time.

    tf2onnx drops some forty copies of the graph: with the embedding network inside, this saves 7 of 13 GiB.
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
    """Write the module of `colouring` as a TFLite file.

    Args:
        module: see `colouring`.
        path: the file.
        precision: ``float32``; ``float16``, for weights in float16 and computation in float32; or ``int8``, for dynamic
            range quantisation: weights in int8, layer inputs quantised on the fly.
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
    """Return a function from the inputs by name to ab (batch, H, W, 2) float32; see `colouring`."""
    loaded = tf.saved_model.load(str(path))  # computes with the threads that TensorFlow was started with

    def answer(**arrays: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        tensors = {name: tf.constant(array) for name, array in arrays.items()}
        return np.asarray(loaded.signatures[SIGNATURE](**tensors)["ab"])

    return answer


def open_onnx(path: Path, threads: int) -> Answer:
    """Do the same with ONNX Runtime."""
    session = sessions.opened(path, threads)
    return lambda **arrays: np.asarray(session.run(["ab"], arrays)[0])


def open_tflite(path: Path, threads: int) -> Answer:
    """Do the same with LiteRT, the interpreter of TFLite files."""
    from ai_edge_litert.interpreter import Interpreter

    with quiet():  # it announces its delegates
        interpreter = Interpreter(str(path), num_threads=threads)
        interpreter.allocate_tensors()
    runner = interpreter.get_signature_runner(SIGNATURE)
    return lambda **arrays: np.asarray(runner(**arrays)["ab"])
