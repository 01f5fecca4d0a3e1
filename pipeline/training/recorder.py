"""The record of a run in training: history, best weights, checkpoint and summary."""

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from pipeline.config import schema
from pipeline.config.paths import RunFiles
from pipeline.core import csv_files, files, versions
from pipeline.core.progress import Advance
from pipeline.core.signals import held_back
from pipeline.core.text import counted
from pipeline.networks import backend, saving
from pipeline.training import checkpoints, ending, optimizers

HISTORY_COLUMNS = ("epoch", "loss", "mse", "accuracy", "val_loss", "val_mse", "val_accuracy")
STEPS_BETWEEN_CHECKS = 10

History = Sequence[Mapping[str, float]]  # of each epoch, `HISTORY_COLUMNS`
Listener = Callable[[History], None]

log = logging.getLogger("deepcolor")


class Recorder(keras.callbacks.Callback):
    """Records a run's history, best weights and checkpoints.

    It ends a run whose loss or weights are no longer finite. With `training.ema_decay`, the averages of the weights are
    validated and saved in place of the weights; checkpoints have both.

    Attributes:
        asked_to_stop: signals received during `fit`.
        advance: called with the number of steps that each call has done.
        calls: the first step, and the one after the last, of each call of the current epoch.
    """

    def __init__(
        self,
        where: RunFiles,
        model: keras.Model,
        training: schema.Training,
        checkpoint: checkpoints.Checkpoint | None,
        settings: str,
        steps: int,
        judged_by: str = "mse",
        listeners: Sequence[Listener] = (),
    ) -> None:
        """Restore the compiled model from a checkpoint.

        Args:
            settings: the run's fingerprint.
            steps: per epoch.
            judged_by: the measure of the validation images that is smallest at the best epoch: mse or loss.
            listeners: called with the history so far after each epoch, and by `tell`.
        """
        super().__init__()
        self.asked_to_stop: Sequence[int] = ()
        self.advance: Advance = lambda *units: None
        self.calls: Sequence[tuple[int, int]] = ()
        self._where, self._network, self._training = where, model, training
        self._settings, self._steps, self._judge = settings, steps, f"val_{judged_by}"
        self._listeners = listeners
        self._first, self._metrics = 0, checkpoints.Arrays()  # where the current epoch continues; its metrics so far
        self._history: list[dict[str, float]] = []
        self._best, self._best_epoch = checkpoints.Arrays(), 0
        self._weights = checkpoints.Arrays()  # while their averages are in their place
        self._start = math.inf  # what the best epoch must be better than
        self._status, self._bad_step = "finished", 0
        self._saved, self._saved_at = (-1, 0), time.monotonic()  # steps and epochs in the last checkpoint, and its time
        self._began = time.monotonic()
        if checkpoint:
            state = checkpoint.state
            _assign(model.variables, checkpoint.model)
            _assign(model.optimizer.variables, checkpoint.optimizer)
            self._first, self._metrics = state["step"], checkpoint.metrics
            self._best, self._best_epoch = checkpoint.best, state["best_epoch"]
            self._start = float(state.get("start", math.inf))
            self._history = [{k: float(v) for k, v in row.items()} for row in state["history"]]
            self._status = state["status"]
            self._saved = (self._done, self.epochs)

    @property
    def epochs(self) -> int:
        """Number of epochs done."""
        return len(self._history)

    @property
    def _done(self) -> int:
        return int(self._network.optimizer.iterations)

    @property
    def step(self) -> int:
        """Number of steps done in the current epoch."""
        return 0 if self.ended else self._done - self.epochs * self._steps

    @property
    def ended(self) -> bool:
        """Whether more epochs would change nothing, because the run diverged or stopped early."""
        return ending.ended(self._status, self.epochs, self._best_epoch, self._training)

    @property
    def goes_on(self) -> bool:
        """Whether epochs remain."""
        return not self.ended and self.epochs < self._training.epochs

    @property
    def validates_next(self) -> bool:
        """Whether all steps of the current epoch are done."""
        return self.step == self._steps

    def tell(self) -> None:
        """Give the listeners the history so far."""
        for listen in self._listeners:
            listen(self._history)

    def judge_start(self, validation: Any) -> None:
        """Validate the weights before the first epoch: if no epoch is better, they are the best."""
        logs = self._network.evaluate(validation, return_dict=True, verbose=0)
        self._start = float(logs[self._judge.removeprefix("val_")])
        self._best = _values(self._network.variables)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Start the clock; restore what the first part of an interrupted epoch measured."""
        self._began = time.monotonic()
        if self._first:
            _assign(self._network.metrics_variables, self._metrics)
        self._metrics = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Stop soon after the loss is no longer finite, since Keras' mean never recovers; save when it is time."""
        first, end = self.calls[batch]
        if -first % STEPS_BETWEEN_CHECKS < end - first and not math.isfinite(float(logs["loss"])):
            self._bad_step = end
            self._network.stop_training = True
        elif self._is_time:
            self.save()
        self._stop_if_asked()
        self.advance(end - first)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Stop between two batches."""
        self._stop_if_asked()

    def _stop_if_asked(self) -> None:
        if self.asked_to_stop:
            raise KeyboardInterrupt

    def on_test_begin(self, logs: Any = None) -> None:
        """Keep what training measured, because validation counts with the same variables; validate the averages."""
        self._metrics = self._measured()
        self._take_averages()

    def finish_epoch(self, validation: Any) -> None:
        """Validate and record an epoch whose steps are all done; `validation` is an argument of `evaluate`."""
        metrics, self._first = self._metrics, 0
        self._take_averages()
        logs = self._network.evaluate(validation, return_dict=True, verbose=0)
        _assign(self._network.metrics_variables, metrics)
        self.on_epoch_end(
            self.epochs, {**self._network.get_metrics_result(), **{f"val_{k}": v for k, v in logs.items()}}
        )

    def _take_averages(self) -> None:
        if self._training.ema_decay and self._done:
            self._weights = _values(self._network.trainable_variables)
            optimizers.take_averages(self._network)

    def _restore_weights(self) -> None:
        if self._weights:
            _assign(self._network.trainable_variables, self._weights)
            self._weights = []

    def _measured(self) -> checkpoints.Arrays:
        return self._metrics or _values(self._network.metrics_variables)

    @property
    def _is_time(self) -> bool:
        return time.monotonic() - self._saved_at >= self._training.checkpoint_seconds

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Record the epoch."""
        with held_back():
            self._record(epoch + 1, logs)

    def _record(self, epoch: int, logs: Any) -> None:
        row = {"epoch": float(epoch), **{name: float(logs[name]) for name in HISTORY_COLUMNS[1:]}}
        best = self._history[self._best_epoch - 1][self._judge] if self._best_epoch else self._start
        # On a CPU, TensorFlow's fused ReLU turns NaN into 0, so the numbers of weights that are NaN may be finite.
        if not (math.isfinite(row["loss"] + row[self._judge]) and saving.finite(self._network)):
            self._status = f"diverged in epoch {epoch}" + (f", by step {self._bad_step}" if self._bad_step else "")
            row |= dict.fromkeys(HISTORY_COLUMNS[1:], math.nan)
        elif row[self._judge] < best:
            self._best_epoch = epoch
            self._best = _values(self._network.variables)
        self._restore_weights()
        self._history.append(row)
        self._first, self._metrics = 0, []
        self._write_history(time.monotonic() - self._began)
        log.info(
            "epoch %d of %d: loss %.4g, mse %.2f, accuracy %.4f; validation mse %.2f, accuracy %.4f",
            epoch, self._training.epochs, *(row[k] for k in ("loss", "mse", "accuracy", "val_mse", "val_accuracy")),
        )  # fmt: skip
        if self.ended:
            judge = {"val_mse": "MSE", "val_loss": "loss"}[self._judge]
            reason = f"no better validation {judge} for {counted(self._training.patience or 0, 'epoch')}"
            if self._status != "finished":
                reason = f"{self._status}; the loss or a weight is not a finite number"
            log.warning("training ends after epoch %d: %s", epoch, reason)
            self._network.stop_training = True
        every = self._training.checkpoint_epochs
        if self._is_time or (every and epoch % every == 0):
            self.save()
        self.tell()

    @held_back()
    def save(self) -> None:
        """Write the checkpoint, unless it is up to date."""
        backend.synchronize(self._network)
        self._restore_weights()
        if (self._done, self.epochs) == self._saved:
            return
        state = {
            "epochs": self.epochs,
            "step": self.step,
            "best_epoch": self._best_epoch,
            "start": repr(self._start),
            "status": self._status,
            "settings": self._settings,
            "history": [{key: repr(value) for key, value in row.items()} for row in self._history],
        }
        variables, optimizer = _values(self._network.variables), _values(self._network.optimizer.variables)
        metrics = self._measured() if self.step else []
        checkpoint = checkpoints.Checkpoint(variables, optimizer, metrics, self._best, state)
        checkpoints.save(self._where.checkpoint, checkpoint)
        self._saved, self._saved_at = (self._done, self.epochs), time.monotonic()

    def finish(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Write the history, the last and best weights (the last ones if no epoch was finite), and the summary."""
        self._write_history()
        self._take_averages()
        _save_weights(self._network, self._where.weights("last"))
        if self._best:
            _assign(self._network.variables, self._best)
        _save_weights(self._network, self._where.weights("best"))
        written = [self._where.history, self._where.weights("last"), self._where.weights("best")]
        written += [path for path in (self._where.head, self._where.start) if path.exists()]
        summary = {
            "status": self._status,
            "epochs": self.epochs,
            "best_epoch": self._best_epoch,
            **facts,
            "versions": {**versions.versions(), **versions.versions(networks=True)},
            "backend": backend.facts(),
            "files": {path.name: files.digest_file(path) for path in written},
        }
        files.write_json(self._where.summary, summary)
        return summary

    def _write_history(self, seconds: float | None = None) -> None:
        rows = [{**row, "epoch": int(row["epoch"])} for row in self._history]
        csv_files.write(self._where.history, HISTORY_COLUMNS, rows)
        if seconds is not None:
            times = self._where.times
            before = times.read_text(encoding="utf-8") if times.exists() else "epoch,seconds\n"
            files.write_text(times, f"{before}{self.epochs},{seconds:.3f}\n")


def _values(variables: Any) -> checkpoints.Arrays:
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def _assign(variables: Any, values: checkpoints.Arrays) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _save_weights(model: keras.Model, path: Path) -> None:
    # A compiled model would save its optimizer too.
    saving.save_weights(keras.Model(model.inputs, model.outputs, name="network"), path)
