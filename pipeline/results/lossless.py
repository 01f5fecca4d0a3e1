"""A run's pictures without loss, for measures that other programs compute from folders of pictures, such as FID.

The JPEG files of `ResultFiles.pictures` are for people: their compression alone changes such measures.
"""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from pipeline.config import schema
from pipeline.core import files, versions
from pipeline.core.errors import InputError
from pipeline.core.progress import Progress, Silent
from pipeline.evaluation.predictors import Ab, Batch
from pipeline.evaluation.scores import MODEL
from pipeline.images import jpeg, lab, saving

if TYPE_CHECKING:
    from pipeline.results.run_predictor import RunPredictor

FOLDERS = ("true", "predicted", "gray")
MANIFEST = "pictures.json"


def refuse_existing(folder: Path) -> None:
    """Raise an InputError if anything is where the folder of pictures should be."""
    if os.path.lexists(os.path.normpath(folder)):
        raise InputError(f"{folder} exists; choose another --out, or move it away")


def write(
    loaded: "RunPredictor",
    name: str,
    partition: str,
    folder: Path,
    *,
    threads: int,
    evaluation: schema.Evaluation,
    progress: Progress | None = None,
) -> int:
    """Write the pictures that a run is scored by, (224, 224, 3) 8-bit sRGB, as PNG files in the `FOLDERS` of a folder.

    A file is named after the image's row in the store, as in per_image.csv. `MANIFEST` says what made them.

    Args:
        loaded: the run.
        name: the run's name.
        partition: whose images are written.
        folder: must not exist; appears as a whole.
        threads: number of pictures encoded at a time.
        evaluation: the settings that the run was loaded with. The last bits of an answer depend on its batch, so
            batches are those of the evaluation: of all partitions that it scores.
        progress: advances with every image.

    Returns:
        The number of images.

    Raises:
        InputError: the folder exists, the partition is empty or not scored, or an answer is not a finite number.
    """
    refuse_existing(folder)
    data = loaded.data
    if partition not in data.scored:
        raise InputError(
            f"{name}: expected one of the partitions that are scored, {', '.join(data.scored)}, received {partition}; "
            "change --partition"
        )
    if not (count := data.partitions.count(partition)):
        raise InputError(f"{name}: expected images in the partition {partition}, received none; change --partition")
    with (
        (progress or Silent()).track(f"pictures {name}, images", count) as advance,
        ThreadPoolExecutor(threads) as pool,
        files.new_folder(folder) as new,
    ):
        for kind in FOLDERS:
            (new / kind).mkdir()
        for batch in data.batches(evaluation.batch_size):
            if not (places := data.places(batch, partition)):
                continue
            answers = loaded.predict(batch)[MODEL]
            if not np.isfinite(answers[places]).all():
                raise InputError(f"{name}: its network answers with numbers that are not finite; train another run")
            list(pool.map(partial(_write, new, batch, answers), places))
            advance(len(places))
        facts = _made_from(loaded, name, partition, evaluation)
        files.write_json(new / MANIFEST, {**facts, "images": count, "files": files.digests(new)})
    return count


def _write(folder: Path, batch: Batch, answers: Ab, place: int) -> None:
    lightness = batch.truth.lightness[place]
    pictures = {
        "true": lab.to_rgb(lightness, batch.truth.ab[place]),
        "predicted": lab.to_rgb(lightness, answers[place]),
        "gray": lab.to_rgb(lightness, np.full((*lightness.shape, 2), lab.NEUTRAL, np.uint8)),
    }
    for kind, picture in pictures.items():
        path = folder / kind / Path(jpeg.name(int(batch.rows[place]))).with_suffix(".png")
        saving.save(Image.fromarray(picture), path, "PNG")


def _made_from(loaded: "RunPredictor", name: str, partition: str, evaluation: schema.Evaluation) -> Mapping[str, Any]:
    return {
        "run": name,
        "dataset": loaded.data.name,
        "partition": partition,
        "weights_sha256": files.digest_file(loaded.weights) if loaded.model else None,
        "settings": loaded.trained["settings"],
        "evaluation": evaluation.model_dump(),
        "versions": versions.versions(networks=loaded.model is not None),
    }
