"""Training on examples that lie on the device, many steps to a call: for Keras on JAX, whose steps are functions."""

from collections.abc import Iterable
from typing import Any

import keras

from pipeline.networks import backend
from pipeline.training import batches

IMAGES_PER_CALL = 1024
ROOM = 0.5  # of the device's free memory: the rest is for what a network computes


def fits(examples: Iterable[batches.Examples]) -> bool:
    """Whether there is a device beside the processor that has room for the examples."""
    return sum(example.nbytes for example in examples) <= ROOM * backend.device_room()


def place(examples: batches.Examples) -> batches.Examples:
    """The examples, on the device."""
    arrays = (examples.lightness, examples.ab, examples.embedding)
    return batches.Examples(*map(keras.ops.convert_to_tensor, arrays))


class Batches(batches.Batches):
    """Calls ``((L, embedding, rows), ab)`` or ``((L, rows), ab)``, of examples on the device: what `Network` takes.

    Each call has all the examples, and the rows of its steps, (steps, batch) int32.
    """

    @property
    def steps_per_call(self) -> int:
        """As many as have `IMAGES_PER_CALL` images."""
        return max(1, IMAGES_PER_CALL // self._batch_size)

    def __getitem__(self, index: int) -> tuple[tuple[Any, ...], Any]:
        first, end = self.calls[index]
        rows = self._rows(first, end).reshape(end - first, -1).astype("int32")
        examples = self._examples
        inputs = (examples.lightness, examples.embedding) if self._embedding else (examples.lightness,)
        return (*inputs, rows), examples.ab


class Network(keras.Model):
    """A functional model that trains and is evaluated on what `Batches` has: a call makes one of Keras' steps per row.

    Its state, metrics and optimizer are afterwards what they are after as many calls with a batch each.
    """

    def train_step(self, state: Any, data: Any) -> tuple[Any, Any]:
        """All steps of a call; the last one's metrics, which are means over the epoch so far, and the state."""
        return _in_turn(super().train_step, state, data)

    def test_step(self, state: Any, data: Any) -> tuple[Any, Any]:
        """See `train_step`."""
        return _in_turn(super().test_step, state, data)


def _in_turn(step: Any, state: Any, data: Any) -> tuple[Any, Any]:
    (lightness, *embedding, rows), ab, _ = keras.utils.unpack_x_y_sample_weight(data)

    def one(state: Any, rows: Any) -> tuple[Any, Any]:
        inputs = (keras.ops.take(lightness, rows, axis=0)[..., None],)
        inputs += tuple(keras.ops.take(values, rows, axis=0) for values in embedding)
        logs, state = step(state, (inputs, keras.ops.take(ab, rows, axis=0)))
        return state, logs

    state, logs = keras.ops.scan(one, state, rows)
    return {name: values[-1] for name, values in logs.items()}, state
