"""Training on examples in the device's memory, many steps per call: for Keras on JAX, whose steps are functions."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import keras

from pipeline.networks import backend
from pipeline.networks.inputs import ImageBatch, arrays, names_of
from pipeline.training import batches

IMAGES_PER_CALL = 1024
ROOM = 0.5  # share of the device's free memory for the examples; the network needs the rest


def fits(examples: Iterable[batches.Examples]) -> bool:
    """Whether a device other than the processor has room for the examples."""
    return sum(example.nbytes for example in examples) <= ROOM * backend.device_room()


def place(examples: batches.Examples) -> batches.Examples:
    """Copy examples to the device."""
    arrays = (examples.lightness, examples.ab, dict(examples.embedded))
    return batches.Examples(*keras.tree.map_structure(keras.ops.convert_to_tensor, arrays))


class Batches(batches.Batches):
    """Items for `Network`: all examples, and each step's rows, (steps, batch) int32, and which of them are mirrored."""

    @property
    def steps_per_call(self) -> int:
        """The steps for `IMAGES_PER_CALL` images, at least one."""
        return max(1, IMAGES_PER_CALL // self._batch_size)

    def __getitem__(self, index: int) -> tuple[dict[str, Any], Any]:
        first, end = self.calls[index]
        rows = self._rows(first, end).reshape(end - first, -1).astype("int32")
        examples = self._examples
        steps = {"rows": rows} if self._mirrored is None else {"rows": rows, "mirrored": self._mirrored[rows]}
        return {"lightness": examples.lightness, "embedded": dict(examples.embedded), "steps": steps}, examples.ab


class Network(keras.Model):
    """A functional model that trains and evaluates on the items of `Batches`: a call makes all steps of an item.

    State, metrics and optimizer are then the same as after one of Keras' calls per step.
    """

    def train_step(self, state: Any, data: Any) -> tuple[Any, Any]:
        """Make all training steps of a call; return the last step's metrics, means over the epoch so far, and state."""
        return _in_turn(super().train_step, names_of(self), state, data)

    def test_step(self, state: Any, data: Any) -> tuple[Any, Any]:
        """Make all evaluation steps of a call; see `train_step`."""
        return _in_turn(super().test_step, names_of(self), state, data)


def _in_turn(step: Any, names: Sequence[str], state: Any, data: Any) -> tuple[Any, Any]:
    call, ab, _ = keras.utils.unpack_x_y_sample_weight(data)

    def one(state: Any, rows: Any) -> tuple[Any, Any]:
        examples = {"lightness": call["lightness"], "embedded": call["embedded"], "ab": ab}
        batch = ImageBatch(**keras.tree.map_structure(partial(_taken, **rows), examples))
        logs, state = step(state, (arrays(names, batch), batch.ab))
        return state, logs

    state, logs = keras.ops.scan(one, state, call["steps"])
    return {name: values[-1] for name, values in logs.items()}, state


def _taken(array: Any, rows: Any, mirrored: Any = None) -> Any:
    """Rows of an array; of pictures and maps, the `mirrored` ones left to right."""
    chosen = keras.ops.take(array, rows, axis=0)
    if mirrored is None or chosen.ndim < 3:
        return chosen
    mirrored = keras.ops.reshape(mirrored, (-1, *[1] * (chosen.ndim - 1)))
    return keras.ops.where(mirrored, keras.ops.flip(chosen, axis=2), chosen)
