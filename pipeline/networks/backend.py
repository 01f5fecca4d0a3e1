"""Start-up of the Keras backend; beside `runtimes` the one module that imports TensorFlow itself."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from pipeline.core import machine
from pipeline.core.machine import Precision

_threads = 0


def start(threads: int, precision: Precision = "float32") -> None:
    """Set up Keras once per process: quiet, with a fixed number of threads and a precision policy.

    The last bits of every result depend on the number of threads, so it is a setting of its own and does not follow
    the number of cores that the workflow may use.

    Args:
        threads: TensorFlow's intra-op threads.
        precision: Keras' global dtype policy.
    """
    global _threads
    _threads = threads
    machine.keep_freed()
    if os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
        with quiet():
            import tensorflow

            tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
            tensorflow.config.threading.set_inter_op_parallelism_threads(1)
            for device in tensorflow.config.list_physical_devices("GPU"):
                tensorflow.config.experimental.set_memory_growth(device, True)
            tensorflow.constant(0)
        tensorflow.get_logger().setLevel("ERROR")
    import keras

    keras.config.set_dtype_policy(precision)


@contextlib.contextmanager
def policy(precision: Precision) -> Iterator[None]:
    """Have what is built in the block compute in a precision; Keras is started."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def stream(batches: Any) -> Any:
    """What `fit` and `evaluate` are to be given of a ``keras.utils.PyDataset`` whose batches differ in size alone.

    With TensorFlow, Keras makes a tf.data.Dataset of it. That one is tuned by a thread that is waited for when `fit`
    ends, now and then: 9 s measured. The one made here is not tuned, and is one batch ahead.
    """
    import keras

    if keras.config.backend() != "tensorflow":
        return batches
    import tensorflow

    def signature(array: Any) -> Any:
        return tensorflow.TensorSpec((None, *array.shape[1:]), array.dtype)

    def generate() -> Iterator[Any]:
        machine.keep_freed()  # with Python 3.11, the operation that calls this has just set the opposite
        for index in range(len(batches)):
            yield batches[index]

    dataset = tensorflow.data.Dataset.from_generator(
        generate, output_signature=keras.tree.map_structure(signature, batches[0])
    )
    options = tensorflow.data.Options()
    options.autotune.enabled = False
    known = tensorflow.data.experimental.assert_cardinality(len(batches))
    return dataset.apply(known).prefetch(1).with_options(options)


def synchronize(model: Any) -> None:
    """Bring the variables of a Keras model in training up to date: with JAX, Keras keeps their values elsewhere."""
    import keras

    if keras.config.backend() == "jax":
        model.jax_state_sync()


def device_room() -> int:
    """Bytes that are free on the device of Keras on JAX; 0 where that is the processor, and for TensorFlow."""
    import keras

    if keras.config.backend() != "jax":
        return 0
    import jax

    told = jax.local_devices()[0].memory_stats() or {}
    return int(told.get("bytes_limit", 0) - told.get("bytes_in_use", 0))


def facts() -> dict[str, str | int]:
    """What computes here: Keras' backend and precision policy, and the threads that `start` was given."""
    import keras

    return {"keras": keras.config.backend(), "precision": keras.config.dtype_policy().name, "threads": _threads}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hide what TensorFlow's libraries write to file descriptor 2 before they know their log level, and set it."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    saved = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)
