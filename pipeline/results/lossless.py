"""A run's pictures without loss, for measures that other programs compute from folders of pictures, such as FID.

The JPEG files of `ResultFiles.pictures` are for people: their compression alone changes such measures.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

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


def refuse_existing(folder: Path, *, replace: bool) -> None:
    """Raise an InputError for a folder that exists, unless `replace` is set and `write` wrote it."""
    if folder.exists() and not (replace and (folder / MANIFEST).exists()):
        hint = "expected a folder of pictures to replace, received something else" if replace else "add --replace"
        raise InputError(f"{folder} exists; {hint}, or change --out")


def write(
    loaded: "RunPredictor",
    name: str,
    partition: str,
    folder: Path,
    *,
    batch_size: int,
    threads: int,
    replace: bool = False,
    progress: Progress | None = None,
) -> int:
    """Write the pictures that a run is scored by, (224, 224, 3) 8-bit sRGB, as PNG files in the `FOLDERS` of a folder.

    A file is named after the image's row in the store, as in per_image.csv. `MANIFEST` says what made them.

    Args:
        loaded: the run.
        name: the run's name.
        partition: whose images are written.
        folder: replaced as a whole.
        batch_size: images at a time. The last bits of an answer depend on its batch, so batches are those of an
            evaluation with this size: of all partitions that it scores.
        threads: number of pictures encoded at a time.
        replace: whether an existing folder that this function wrote may be replaced.
        progress: advances with every image.

    Returns:
        The number of images.

    Raises:
        InputError: the folder exists, the partition is empty or not scored, or an answer is not a finite number.
    """
    refuse_existing(folder, replace=replace)
    data = loaded.data
    count = data.partitions.count(partition) if partition in data.scored else 0
    if not count:
        raise InputError(f"{name}: expected a partition with images that are scored, received {partition}")
    own = files.read_if_whole(folder / files.LISTING).get("files", ())
    with (
        (progress or Silent()).track(f"pictures {name}, images", count) as advance,
        ThreadPoolExecutor(threads) as pool,
        files.new_folder(folder, own) as new,
    ):
        for kind in FOLDERS:
            (new / kind).mkdir()
        for batch in data.batches(batch_size):
            if not (places := data.places(batch, partition)):
                continue
            answers = loaded.predict(batch)[MODEL]
            if not np.isfinite(answers[places]).all():
                raise InputError(f"{name}: its network answers with numbers that are not finite; train another run")
            list(pool.map(partial(_write, new, batch, answers), places))
            advance(len(places))
        files.write_json(new / MANIFEST, _made_from(loaded, name, partition, count))
        files.write_listing(new)
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


def _made_from(loaded: "RunPredictor", name: str, partition: str, count: int) -> Mapping[str, Any]:
    return {
        "run": name,
        "dataset": loaded.data.name,
        "partition": partition,
        "images": count,
        "weights_sha256": files.digest_file(loaded.weights) if loaded.model else None,
        "settings": loaded.trained["settings"],
        "versions": versions.versions(networks=loaded.model is not None),
    }
