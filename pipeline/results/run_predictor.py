"""A trained run as a predictor, with the images of its dataset that it is scored on."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras

from pipeline.config import schema
from pipeline.config.paths import RunFiles
from pipeline.config.runs import Run, diverged
from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.dataset import splits
from pipeline.dataset.fingerprints import Outputs, fingerprints, other_data, outputs_of
from pipeline.evaluation import untrained
from pipeline.evaluation.baselines import Baselines, read_baselines
from pipeline.evaluation.network import Network
from pipeline.evaluation.scoring import Dataset
from pipeline.networks import builder, inputs, notation, saving, transfer
from pipeline.storage.store import Store


@dataclass(frozen=True)
class RunPredictor:
    """A trained run's predictor and what it is scored on.

    Attributes:
        predict: the predictor.
        model: its network; None for a predictor that needs no training.
        architecture: the network's; None likewise.
        trained: the run's summary; see `RunFiles.summary`.
        weights: the file of the weights.
        diverged: whether the network answers with NaN.
        data: the images.
        baselines: the baselines' scores on them.
        outputs: the stored outputs of the embedding network that it reads.
    """

    predict: Network | untrained.Answers
    model: keras.Model | None
    architecture: schema.Architecture | None
    trained: Mapping[str, Any]
    weights: Path
    diverged: bool
    data: Dataset
    baselines: Baselines
    outputs: Outputs


def load(
    run: Run,
    images: Store,
    embeddings: Store,
    split: Path,
    baselines_file: Path,
    directory: Path,
    evaluation: schema.Evaluation,
    *,
    features: Store | None = None,
    scheduler: str = "threads",
    workers: int = 1,
    recognising: schema.Embedding | None = None,
    more_architectures: Mapping[str, schema.Architecture] | None = None,
) -> RunPredictor:
    """Load a trained run; arguments as of `pipeline.results.evaluate.evaluate`.

    Raises:
        InputError: the run was trained on other data, or a file is missing or damaged.
    """
    where = RunFiles(directory)
    trained = files.read_json(where.summary)
    table = splits.read(split, images.manifest()["fingerprint"])
    predictor = untrained.of_run(run)
    architecture = None if predictor else notation.of_run(run, more_architectures)
    names = notation.input_names(architecture, embedding=run.embedding) if architecture else ()
    outputs = outputs_of(predictor.stored if predictor else inputs.stored(names), images, embeddings, features)
    _check_run(trained, where, images, fingerprints(images, embeddings, split, outputs))
    baselines = read_baselines(baselines_file, images, split, evaluation, recognising)
    scored = [name for name in evaluation.partitions if not predictor or name in predictor.partitions]
    data = Dataset(images, table, baselines.rarity, outputs, scored)
    weights = where.weights(evaluation.weights)
    if predictor:
        answers = untrained.Answers(predictor, untrained.Given(data, run.seed, scheduler, workers))
        versions = {name: version(name) for name in predictor.packages}
        trained = {**trained, "versions": {**trained["versions"], **versions}}
        return RunPredictor(answers, None, None, trained, weights, False, data, baselines, outputs)
    shapes = {name: store.array(name).shape[1:] for name, store in outputs.items()}
    built = partial(builder.trained, run, weights, more_architectures, shapes, evaluation.temperature)
    model = built()
    if not saving.finite(model):
        trained = _without_best(trained, evaluation.weights)
    changed = trained["epochs"] and where.start.name in trained["files"]
    before = transfer.restored(built(), where.start) if changed else None
    useless = diverged({**trained, "weights_evaluated": evaluation.weights})
    network = Network(model, data, evaluation.seed, before, diverged=useless)
    return RunPredictor(network, model, architecture, trained, weights, useless, data, baselines, outputs)


def _check_run(trained: Mapping[str, Any], where: RunFiles, images: Store, now: Mapping[str, str]) -> None:
    if other := other_data(images, trained["settings"]["fingerprints"], now):
        raise InputError(
            f"{where.directory} was trained on other data ({'; '.join(other)}); train it again, or evaluate it with "
            "the data that it was trained on"
        )
    files.refuse_damaged(where.directory, trained["files"])


def _without_best(trained: Mapping[str, Any], weights: str) -> dict[str, Any]:
    """Return a run's summary as training writes it where the `weights` are not finite.

    Earlier versions could take such weights for the best ones.
    """
    status = trained["status"]
    if not status.startswith("diverged"):
        status = f"diverged, because a weight in the {weights} weights is not a finite number"
    return {**trained, "status": status, **({"best_epoch": None} if weights == "best" else {})}
