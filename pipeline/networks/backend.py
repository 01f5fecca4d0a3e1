"""Start-up of the Keras backend. Only this module and `colorize.runtimes` import TensorFlow itself."""

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from pipeline.core import machine
from pipeline.core.errors import InputError
from pipeline.core.machine import Precision

BACKENDS = ("tensorflow", "jax")  # of Keras
# Keras imports them where they are installed, and TensorFlow also JAX, for functions that DeepColor never calls: a
# quarter of the start-up time.
UNUSED = ("matplotlib", "matplotlib.pyplot", "pandas")
_threads = 0


def start(threads: int, precision: Precision = "float32") -> None:
    """Set up Keras once per process: quiet, with a fixed number of threads and a precision policy.

    The last bits of every result depend on the number of threads. That is why it is a setting, independent of the
    number of cores that the workflow may use.

    Args:
        threads: TensorFlow's intra-op threads.
        precision: Keras' global dtype policy.

    Raises:
        InputError: Keras is set to another backend than those of `BACKENDS`, or to one that is not installed.
    """
    global _threads
    _threads = threads
    machine.keep_freed()
    if os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
        with quiet(), machine.uncollected(), without((*UNUSED, "jax")):
            import tensorflow

            tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
            tensorflow.config.threading.set_inter_op_parallelism_threads(1)
            for device in tensorflow.config.list_physical_devices("GPU"):
                tensorflow.config.experimental.set_memory_growth(device, True)
            tensorflow.constant(0)
        tensorflow.get_logger().setLevel("ERROR")
    with machine.uncollected(), without(UNUSED):
        _check_backend()
    import keras

    keras.config.set_dtype_policy(precision)


def _check_backend() -> None:
    try:
        import keras

        received = keras.config.backend()
    except (ImportError, ValueError) as error:
        received = f"{os.environ.get('KERAS_BACKEND', 'that of ~/.keras/keras.json')}: {error}"
    if received not in BACKENDS:
        raise InputError(
            f"KERAS_BACKEND: expected {' or '.join(BACKENDS)}, installed, received {received}; "
            "set this environment variable to one that is installed, or unset it"
        )


@contextlib.contextmanager
def without(modules: Iterable[str]) -> Iterator[None]:
    """Let imports of modules that are not yet imported fail inside the block, as if they were not installed."""
    absent = [name for name in modules if name not in sys.modules]
    for name in absent:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


@contextlib.contextmanager
def policy(precision: Precision) -> Iterator[None]:
    """Build layers with another precision policy inside the block."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def stream(batches: Any) -> Any:
    """Turn a ``keras.utils.PyDataset`` whose batches differ only in size into what `fit` and `evaluate` should get.

    With TensorFlow, Keras would make a tf.data.Dataset with autotuning, whose thread occasionally delays the end of
    `fit`, by up to 9 s in measurements. This dataset has no autotuning and prefetches one batch.
    """
    import keras

    if keras.config.backend() != "tensorflow":
        return batches
    import tensorflow

    def generate() -> Iterator[Any]:
        machine.keep_freed()  # with Python 3.11, the operation that calls this has just reset it
        for index in range(len(batches)):
            yield batches[index]

    signature = keras.tree.map_structure(
        lambda array: tensorflow.TensorSpec((None, *array.shape[1:]), array.dtype), batches[0]
    )
    dataset = tensorflow.data.Dataset.from_generator(generate, output_signature=signature)
    options = tensorflow.data.Options()
    options.autotune.enabled = False
    known_length = tensorflow.data.experimental.assert_cardinality(len(batches))
    return dataset.apply(known_length).prefetch(1).with_options(options)


def synchronize(model: Any) -> None:
    """Update the variables of a Keras model during training; with JAX, Keras keeps their values elsewhere."""
    import keras

    if keras.config.backend() == "jax":
        model.jax_state_sync()


def device_room() -> int:
    """Return the free bytes on Keras' JAX device; 0 with TensorFlow or on a processor."""
    import keras

    if keras.config.backend() != "jax":
        return 0
    import jax

    memory = jax.local_devices()[0].memory_stats() or {}
    return int(memory.get("bytes_limit", 0) - memory.get("bytes_in_use", 0))


def facts() -> dict[str, str | int]:
    """Return Keras' backend, its precision policy, and the number of threads passed to `start`."""
    import keras

    return {"keras": keras.config.backend(), "precision": keras.config.dtype_policy().name, "threads": _threads}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Set the log level of TensorFlow's libraries, and hide what they write to file descriptor 2 inside the block."""
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
