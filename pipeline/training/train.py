"""Training of one run: Adam and mean squared error, resumable to the bit."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from pipeline.config import schema
from pipeline.config.paths import RunFiles
from pipeline.config.run_settings import run_settings
from pipeline.config.runs import Run
from pipeline.core import files
from pipeline.core.conflicts import differing, refuse_other
from pipeline.core.progress import Advance, Progress, Silent
from pipeline.core.signals import held_back
from pipeline.dataset import splits, statistics
from pipeline.dataset.fingerprints import check_stores, fingerprints
from pipeline.images import lab
from pipeline.networks import backend, builder, notation
from pipeline.storage.store import Store
from pipeline.training import checkpoints, on_device
from pipeline.training.batches import Batches, Shuffling, load
from pipeline.training.recorder import Recorder

log = logging.getLogger("deepcolor")


def train(
    run: Run,
    images: Store,
    embeddings: Store,
    split: Path,
    directory: Path,
    training: schema.Training,
    *,
    more_architectures: Mapping[str, schema.Architecture] | None = None,
    replace: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train a run up to `training.epochs` epochs, from its checkpoint where there is one.

    Args:
        directory: ``models/<run>/``, see `RunFiles`.
        more_architectures: architectures besides the paper's.
        replace: whether a run of that name made with other settings, or with more epochs, may be replaced.

    Returns:
        What `RunFiles.summary` holds: status ("finished" or "diverged …"), epochs, best epoch, settings, versions.

    Raises:
        InputError: the data do not fit together, or there is another run of that name.
    """
    where = RunFiles(directory)
    partitions = np.array([row["partition"] for row in splits.read(split, images.manifest()["fingerprint"])])
    check_stores(images, embeddings)
    made_with = {
        **run_settings(
            run,
            training,
            notation.resolve(run.architecture, more_architectures),
            dataset=images.path.parent.name,
            limit=images.manifest().get("limit"),
            images=images.manifest()["settings"],
            embeddings=embeddings.manifest()["settings"],
            split=splits.read_manifest(split)["settings"],
        ),
        "fingerprints": fingerprints(images, embeddings, split),
    }
    checkpoint = _claim(where, made_with, training.epochs, replace)
    rows = {name: np.flatnonzero(partitions == name) for name in ("train", "validation")}
    decoded = 3 * lab.SIZE**2 * sum(map(len, rows.values()))
    scratch = directory if decoded > training.memory_gib * 2**30 else None
    if scratch:
        log.info("train: decoded images take more than memory_gib; they are mapped from a file in %s", scratch)
    examples = load(images, embeddings, rows, scratch)
    mean_ab = statistics.mean_ab_of_images(examples["train"].ab)
    model = builder.build(
        run.architecture,
        l2=float(run.l2),
        seed=run.seed,
        start_at=mean_ab if training.start_at == "mean" else (0.0, 0.0),
        embedding=run.embedding,
        architectures=more_architectures,
    )
    batches_of: type[Batches] = Batches
    if on_device.fits(examples.values()):
        model = on_device.Network(model.inputs, model.outputs)
        examples = {name: on_device.place(each) for name, each in examples.items()}
        batches_of = on_device.Batches
    validated = batches_of(examples["validation"], run.batch_size, embedding=run.embedding)
    builder.compile_to_train(model, float(run.learning_rate))
    steps = -(-len(rows["train"]) // run.batch_size)
    journal = Recorder(where, model, training, checkpoint, files.fingerprint(made_with), steps)
    if journal.epochs or journal.step:
        log.info("train %s: going on after epoch %d, step %d", run.name, journal.epochs, journal.step)
    if not journal.ended and journal.epochs < training.epochs:
        where.summary.unlink(missing_ok=True)
        validation = backend.stream(validated)
        todo = (training.epochs - journal.epochs) * steps - journal.step
        with (progress or Silent()).track(f"train {run.name}, steps", todo) as advance:

            def fit(epochs: int, first: int = 0) -> None:
                batches = batches_of(examples["train"], run.batch_size, run.seed, run.embedding, first)
                journal.calls = batches.calls
                # Keras loses an exception that comes while it waits for a step's numbers.
                with held_back() as journal.asked_to_stop:
                    model.fit(
                        backend.stream(batches),
                        initial_epoch=journal.epochs,
                        epochs=epochs,
                        shuffle=False,
                        validation_data=validation,
                        callbacks=[Shuffling(batches), journal, *_watchers(where, training, batches, advance)],
                        verbose=0,
                    )

            try:
                if journal.step == steps:
                    journal.finish_epoch(validation)
                elif journal.step:
                    fit(journal.epochs + 1, journal.step)
                if not journal.ended and journal.epochs < training.epochs:
                    fit(training.epochs)
            except KeyboardInterrupt:
                journal.save()
                raise
        journal.save()
    found = {"mean_ab": list(mean_ab), "steps_per_call": validated.steps_per_call}
    return journal.finish({"settings": made_with, **found})


def _claim(where: RunFiles, made_with: dict[str, Any], epochs: int, replace: bool) -> checkpoints.Checkpoint | None:
    """Take the run's directory, and the checkpoint in it if it is this run's."""
    old = files.read_if_whole(where.settings)
    other = bool(old and differing(old, made_with))
    checkpoint = None if other else checkpoints.load(where.checkpoint)
    more = []
    if checkpoint and checkpoint.state["settings"] != files.fingerprint(made_with):
        more.append(f"settings of {where.checkpoint.name}: not those of this run")
    elif checkpoint and (done := checkpoint.state["epochs"] + bool(checkpoint.state["step"])) > epochs:
        more.append(f"epochs: {done}, now {epochs}")
    elif checkpoint is None and where.weights("last").exists() and not other:
        more.append("a trained network without its checkpoint: training would start again")
    if not replace:
        refuse_other(where.directory, old, made_with, more=more)
    elif other or more:
        files.remove(where.directory)
        checkpoint = None
    files.write_json(where.settings, made_with)
    return checkpoint


def _watchers(
    where: RunFiles, training: schema.Training, batches: Batches, advance: Advance
) -> list[keras.callbacks.Callback]:
    watchers: list[keras.callbacks.Callback] = [_ShowSteps(batches, advance)]
    if training.tensorboard:
        watchers.append(keras.callbacks.TensorBoard(where.tensorboard))
    return watchers


class _ShowSteps(keras.callbacks.Callback):
    def __init__(self, batches: Batches, advance: Advance) -> None:
        super().__init__()
        self._batches = batches
        self._advance = advance

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        first, end = self._batches.calls[batch]
        self._advance(end - first)
