"""The record of a run whose predictor needs no training."""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.config.paths import RunFiles
from pipeline.config.runs import Run
from pipeline.config.schema import Training
from pipeline.core import files, versions
from pipeline.core.conflicts import refuse_other
from pipeline.dataset import splits
from pipeline.dataset.fingerprints import outputs_of
from pipeline.storage.store import Store
from pipeline.training import replaced
from pipeline.training.made_with import made_with

log = logging.getLogger("deepcolor")


def record(
    run: Run,
    images: Store,
    embeddings: Store,
    split: Path,
    directory: Path,
    *,
    stored: Iterable[str] = (),
    features: Store | None = None,
    replace: bool = False,
) -> dict[str, Any]:
    """Write the summary of a run that has nothing to train, as `pipeline.training.train.train` does after training.

    Args:
        run: with its predictor as records have it.
        split: splits.csv.
        directory: ``models/<run>/``, see `RunFiles`.
        stored: the outputs of the embedding network that the predictor reads.
        features: the store of feature maps, if it reads any.
        replace: whether a run with this name, but other settings, may be replaced.

    Raises:
        InputError: the data do not fit together, or another run with this name exists.
    """
    where = RunFiles(directory)
    splits.read(split, images.manifest()["fingerprint"])
    outputs = outputs_of(stored, images, embeddings, features)
    settings = made_with(run, Training(), None, images, embeddings, split, outputs)
    summary = files.read_if_whole(where.summary)
    if summary.get("settings") != settings:
        old = files.read_if_whole(where.settings)
        if old and (other := replaced.differences(old, settings, images)):
            if not replace:
                refuse_other(directory, {}, {}, more=other)
            log.warning("%s was made with other settings; it is kept as %s", directory, replaced.move(directory))
        files.write_json(where.settings, settings)
        summary = {
            "status": "finished",
            "epochs": 0,
            "best_epoch": None,
            "settings": settings,
            "versions": versions.versions(),
            "files": {},
        }
        files.write_json(where.summary, summary)
    log.info("train %s: its predictor needs no training", run.name)
    return summary
