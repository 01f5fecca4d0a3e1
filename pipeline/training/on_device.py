"""Training on examples that lie on the device, many steps to a call: for Keras on JAX, whose steps are functions."""

from collections.abc import Iterable, Sequence
from typing import Any

import keras

from pipeline.networks import backend
from pipeline.networks.inputs import ImageBatch, arrays, names_of
from pipeline.training import batches

IMAGES_PER_CALL = 1024
ROOM = 0.5  # of the device's free memory: the rest is for what a network computes


def fits(examples: Iterable[batches.Examples]) -> bool:
    """Whether there is a device beside the processor that has room for the examples."""
    return sum(example.nbytes for example in examples) <= ROOM * backend.device_room()


def place(examples: batches.Examples) -> batches.Examples:
    """The examples, on the device."""
    arrays = (examples.lightness, examples.ab, dict(examples.embedded))
    return batches.Examples(*keras.tree.map_structure(keras.ops.convert_to_tensor, arrays))


class Batches(batches.Batches):
    """Calls with all the examples, and the rows of each of their steps, (steps, batch) int32: what `Network` takes."""

    @property
    def steps_per_call(self) -> int:
        """As many as have `IMAGES_PER_CALL` images."""
        return max(1, IMAGES_PER_CALL // self._batch_size)

    def __getitem__(self, index: int) -> tuple[dict[str, Any], Any]:
        first, end = self.calls[index]
        rows = self._rows(first, end).reshape(end - first, -1).astype("int32")
        examples = self._examples
        return {"lightness": examples.lightness, "embedded": dict(examples.embedded), "rows": rows}, examples.ab


class Network(keras.Model):
    """A functional model that trains and is evaluated on what `Batches` has: a call makes one of Keras' steps per row.

    Its state, metrics and optimizer are afterwards what they are after as many calls with a batch each.
    """

    def train_step(self, state: Any, data: Any) -> tuple[Any, Any]:
        """All steps of a call; the last one's metrics, which are means over the epoch so far, and the state."""
        return _in_turn(super().train_step, names_of(self), state, data)

    def test_step(self, state: Any, data: Any) -> tuple[Any, Any]:
        """See `train_step`."""
        return _in_turn(super().test_step, names_of(self), state, data)


def _in_turn(step: Any, names: Sequence[str], state: Any, data: Any) -> tuple[Any, Any]:
    call, ab, _ = keras.utils.unpack_x_y_sample_weight(data)

    def one(state: Any, rows: Any) -> tuple[Any, Any]:
        taken = {"lightness": call["lightness"], "embedded": call["embedded"], "ab": ab}
        given = ImageBatch(**keras.tree.map_structure(lambda array: keras.ops.take(array, rows, axis=0), taken))
        logs, state = step(state, (arrays(names, given), given.ab))
        return state, logs

    state, logs = keras.ops.scan(one, state, call["rows"])
    return {name: values[-1] for name, values in logs.items()}, state
