"""Training of one run, resumable to the bit."""

import logging
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from pipeline.config import schema, start
from pipeline.config.paths import RunFiles
from pipeline.config.runs import Run, allowing_more_patience
from pipeline.core import files
from pipeline.core.conflicts import kept, refuse_other
from pipeline.core.errors import InputError
from pipeline.core.progress import Progress, Silent
from pipeline.core.signals import held_back
from pipeline.dataset import splits, statistics
from pipeline.dataset.fingerprints import Outputs, outputs_of
from pipeline.images.lab import UInt8
from pipeline.networks import backend, builder, heads, inputs, saving, transfer
from pipeline.networks.notation import input_names, of_run
from pipeline.storage.layouts import VECTOR
from pipeline.storage.store import Store
from pipeline.training import checkpoints, ending, on_device, replaced
from pipeline.training.batches import Batches, Rows, Shuffling, load
from pipeline.training.made_with import made_with
from pipeline.training.optimizers import optimizer
from pipeline.training.recorder import Listener, Recorder

PAPERS_HEAD = schema.Architecture.model_fields["head"].default

log = logging.getLogger("deepcolor")


def train(
    run: Run,
    images: Store,
    embeddings: Store,
    split: Path,
    directory: Path,
    training: schema.Training,
    *,
    features: Store | None = None,
    more_architectures: Mapping[str, schema.Architecture] | None = None,
    replace: bool = False,
    progress: Progress | None = None,
    listeners: Sequence[Listener] = (),
) -> dict[str, Any]:
    """Train a run up to `training.epochs` epochs, continuing from its checkpoint if there is one.

    Args:
        split: splits.csv.
        features: the store of feature maps, if the network reads any.
        directory: ``models/<run>/``, see `RunFiles`.
        more_architectures: architectures besides the paper's.
        replace: whether a run with this name, but other settings or more epochs, may be replaced; see
            `pipeline.training.replaced`.
        progress: advances with every step.
        listeners: called with the history so far when training resumes and after each epoch; what they raise ends it.

    Returns:
        The contents of `RunFiles.summary`: status ("finished" or "diverged …"), epochs, best epoch, settings, versions.

    Raises:
        InputError: the data do not fit together, another run with this name exists, or the network of
            `training.start_from` is another one.
    """
    where = RunFiles(directory)
    architecture = of_run(run, more_architectures)
    partitions = np.array([row["partition"] for row in splits.read(split, images.manifest()["fingerprint"])])
    names = input_names(architecture, embedding=run.embedding)
    outputs = outputs_of(inputs.stored(names), images, embeddings, features)
    settings = made_with(run, training, architecture, images, embeddings, split, outputs)
    if summary := _finished(where, settings, training):
        log.info("train %s: finished after epoch %d; nothing to train", run.name, summary["epochs"])
        return summary
    build = partial(
        builder.build,
        run.architecture,
        l2=float(run.l2),
        seed=run.seed,
        embedding=run.embedding,
        architectures=more_architectures,
        outputs={name: store.array(name).shape[1:] for name, store in outputs.items()},
    )
    saved = None
    if training.start_from:  # refused before the run has a folder
        embedding = embeddings.manifest()["settings"] if outputs else {}
        saved = transfer.load(training.start_from, build(), heads.choose(architecture.head), embedding)
    settings = kept(files.read_if_whole(where.settings), settings)
    checkpoint = _claim(where, settings, images, training.epochs, replace)

    rows = {name: np.flatnonzero(partitions == name) for name in ("train", "validation")}
    rows["train"] = _chosen(rows["train"], training.images, run.seed)
    examples = load(images, outputs, rows, _scratch(directory, images, outputs, rows, training))
    mean_ab = statistics.mean_ab_of_images(examples["train"].ab)
    head = _fitted(heads.choose(architecture.head), examples["train"].ab, where)
    model = build(start_at=mean_ab if training.start_at == "mean" else None, head=head)
    if saved and training.start_from:
        transfer.assign(model, saved)
        # Checkpoints of earlier versions have moments of the batch normalisations too: these runs go on training them.
        # None of these had averages of the weights.
        if training.ema_decay or not checkpoint or len(checkpoint.optimizer) < 2 * len(model.trainable_variables):
            transfer.keep_statistics(model)
        if start.is_released(training.start_from):
            saving.save(saved, where.start)
        else:
            with files.written_whole(where.start) as temporary:
                shutil.copyfile(start.model_file(training.start_from), temporary)
    batches_of: type[Batches] = Batches
    if on_device.fits(examples.values()):
        model = on_device.Network(model.inputs, model.outputs)
        examples = {name: on_device.place(each) for name, each in examples.items()}
        batches_of = on_device.Batches
    steps = -(-len(rows["train"]) // run.batch_size)
    builder.compile_to_train(model, head, optimizer(model, float(run.learning_rate), training, steps))
    batches = partial(batches_of, examples["train"], names, run.batch_size, run.seed, mirror=training.mirror)
    validated = batches_of(examples["validation"], names, run.batch_size)

    recorder = Recorder(
        where, model, training, checkpoint, files.fingerprint(settings), steps, head.judged_by, listeners
    )
    if recorder.epochs or recorder.step:
        log.info("train %s: resuming after epoch %d, step %d", run.name, recorder.epochs, recorder.step)
        recorder.tell()
    if saved and not (recorder.epochs or recorder.step):
        recorder.judge_start(backend.stream(validated))
    if recorder.goes_on:
        where.summary.unlink(missing_ok=True)
        todo = (training.epochs - recorder.epochs) * steps - recorder.step
        with (progress or Silent()).track(f"train {run.name}, steps", todo) as recorder.advance:
            more = [keras.callbacks.TensorBoard(where.tensorboard)] if training.tensorboard else []
            _fit(model, batches, backend.stream(validated), recorder, training.epochs, more)
    facts = {"settings": settings, "mean_ab": list(mean_ab), "steps_per_call": validated.steps_per_call}
    return recorder.finish(facts if architecture.head == PAPERS_HEAD else {**facts, "loss": head.words})


def _finished(where: RunFiles, made_with: Mapping[str, Any], training: schema.Training) -> dict[str, Any]:
    """Return the summary of a run with these settings and intact files that has no epochs left, or nothing."""
    summary = files.read_if_whole(where.summary)
    intact = (
        summary.get("settings") == made_with == files.read_if_whole(where.settings)
        and summary["epochs"] <= training.epochs
        and ending.finished(summary, training)
        and not any(files.damaged(where.directory, summary["files"]))
        and where.checkpoint.exists()
        and checkpoints.whole(where.checkpoint)
    )
    return summary if intact else {}


def _chosen(rows: npt.NDArray[np.intp], images: int | None, seed: int) -> npt.NDArray[np.intp]:
    """Draw `images` of the training images' rows, or take all; fewer images of the same seed are among more.

    Raises:
        InputError: there are fewer.
    """
    if images is None:
        return rows
    if images > len(rows):
        raise InputError(
            f"training.images: expected at most the {len(rows)} images of the partition train, received {images}; "
            "null uses all"
        )
    return np.sort(np.random.default_rng((seed, 0)).permutation(rows)[:images])


def _fitted(head: heads.Head, ab: Iterable[UInt8], where: RunFiles) -> heads.Head:
    """Return the head to train with; where it depends on the training images' colours, keep what it took from them."""
    if head.fit is None:
        return head
    counts = statistics.no_colours()
    for image in ab:
        statistics.add_colours(counts, image)
    head, arrays = head.fit(counts)
    with files.written_whole(where.head) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    return head


def _scratch(directory: Path, images: Store, outputs: Outputs, rows: Rows, training: schema.Training) -> Path | None:
    """The directory for memory-mapped images and feature maps, if they take too much memory."""
    mapped = [images.array(name) for name in ("L", "ab")]
    mapped += [store.array(name) for name, store in outputs.items() if name != VECTOR]
    if (
        sum(array.nbytes // array.shape[0] for array in mapped) * sum(map(len, rows.values()))
        <= training.memory_gib * 2**30
    ):
        return None
    log.info("train: images and feature maps exceed memory_gib; they are mapped from files in %s", directory)
    return directory


def _fit(
    model: keras.Model,
    batches: Callable[..., Batches],
    validation: Any,
    recorder: Recorder,
    epochs: int,
    more: Sequence[keras.callbacks.Callback],
) -> None:
    """Train until the recorder has no more epochs to do or a signal arrives, then save the checkpoint.

    `batches` returns the training batches of an epoch without the `first` ones.
    """
    try:
        if recorder.validates_next:
            recorder.finish_epoch(validation)
        while recorder.goes_on:
            rest = batches(first=recorder.step)
            recorder.calls = rest.calls
            # Keras loses an exception that is raised while it waits for a step's numbers.
            with held_back() as recorder.asked_to_stop:
                model.fit(
                    backend.stream(rest),
                    initial_epoch=recorder.epochs,
                    epochs=recorder.epochs + 1 if recorder.step else epochs,
                    shuffle=False,
                    validation_data=validation,
                    callbacks=[Shuffling(rest), recorder, *more],
                    verbose=0,
                )
    except KeyboardInterrupt:
        recorder.save()
        raise
    recorder.save()


def _claim(
    where: RunFiles, made_with: dict[str, Any], images: Store, epochs: int, replace: bool
) -> checkpoints.Checkpoint | None:
    """Claim the run's directory and return this run's checkpoint in it, if any."""
    old = files.read_if_whole(where.settings)
    known = (files.fingerprint(old), identity := files.fingerprint(made_with))
    old = allowing_more_patience(old, made_with)
    other = replaced.differences(old, made_with, images) if old else []
    checkpoint = None if other else checkpoints.load(where.checkpoint)
    more = []
    if checkpoint and checkpoint.state["settings"] not in known:
        more.append(f"settings of {where.checkpoint.name}: not this run's")
    elif checkpoint and (done := checkpoint.state["epochs"] + bool(checkpoint.state["step"])) > epochs:
        more.append(f"epochs: {done}, now {epochs}")
    elif checkpoint is None and where.weights("last").exists() and not other:
        more.append("a trained network without its checkpoint: training would start again")
    if not replace:
        refuse_other(where.directory, {}, {}, more=[*other, *more])
    elif other or more:
        differences = "; ".join([*other, *more])
        cost = replaced.cost(where.directory)
        kept = replaced.move(where.directory)
        log.warning(
            "%s (%s) was made with other settings (%s) and is trained again; until `python -m stages clean`, it is "
            "kept as %s", where.directory, cost, differences, kept,
        )  # fmt: skip
        checkpoint = None
    if checkpoint and checkpoint.state["settings"] != identity:
        checkpoint.state["settings"] = identity
        checkpoints.save(where.checkpoint, checkpoint)  # before the settings, so that it is known after a kill
    files.write_json(where.settings, made_with)
    return checkpoint
