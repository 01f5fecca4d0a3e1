"""The scores of the baselines, computed once per dataset and split."""

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.config import schema
from pipeline.config.partitions import PARTITIONS
from pipeline.config.paths import BaselineFiles
from pipeline.core import csv_files, files
from pipeline.core.conflicts import differing, refuse_other
from pipeline.core.errors import InputError
from pipeline.core.progress import Progress
from pipeline.dataset import splits, statistics
from pipeline.embedding import recipe
from pipeline.evaluation import frechet, metrics, per_image, predictors, recognition, scores
from pipeline.evaluation.measures import Columns
from pipeline.evaluation.predictors import Ab, Batch
from pipeline.evaluation.recognition import Recognition
from pipeline.evaluation.scoring import Dataset, Scores, score
from pipeline.images import jpeg, lab
from pipeline.storage.store import Store

Rarity = Mapping[str, npt.NDArray[np.float64]]


def settings(evaluation: schema.Evaluation, recognising: schema.Embedding | None) -> dict[str, Any]:
    """The settings that determine the baselines' scores, besides images and split."""
    made_with: dict[str, Any] = {"seed": evaluation.seed, "recognition": recipe.recognition(recognising)}
    if more := [name for name in predictors.BASELINES if name not in predictors.BUILT_IN]:
        made_with["more"] = more
    return made_with if evaluation.train else {**made_with, "train": False}


def score_baselines(
    images: Store,
    split: Path,
    out: Path,
    evaluation: schema.Evaluation | None = None,
    *,
    threads: int = 2,
    recognising: schema.Embedding | None = None,
    replace: bool = False,
    progress: Progress | None = None,
) -> None:
    """Score all registered baselines and write `BaselineFiles`, the manifest last.

    Args:
        split: splits.csv.
        out: the CSV of the scores, with `scores.COLUMNS` and an empty run.
        evaluation: the partitions to score, the images at a time, and the seed of the shuffle; None: the defaults.
        threads: number of images measured in parallel.
        recognising: the network that measures recognition, see `pipeline.embedding.recipe.recognising`; None: none.
        replace: whether scores made with other settings may be replaced.
        progress: advances with every image.

    Raises:
        InputError: images or split are missing, or scores made with other settings exist.
    """
    evaluation = evaluation or schema.Evaluation()
    made_with, where = settings(evaluation, recognising), BaselineFiles(out)
    if not replace:
        refuse_other(out, files.read_if_whole(where.manifest).get("settings", {}), made_with)
    table = splits.read(split, images.manifest()["fingerprint"])
    colours = statistics.count_colours(images, [row["partition"] for row in table])
    bins = {name: metrics.bin_counts(counts) for name, counts in colours.items()}
    data = Dataset(images, table, _rarity(bins), scored=evaluation.partitions)
    known = predictors.BaselineInputs(images, data.partitions, data.groups, colours, evaluation.seed)
    recognised = Recognition.of(recognising, data.partitions)

    prefix = f"{where.pictures.name}/"
    own = [name.removeprefix(prefix) for name in files.read_if_whole(where.manifest).get("files", ())]
    with files.new_folder(where.pictures, own) as folder:
        measured = score(
            data,
            predictors.baselines(known),
            "baselines",
            batch_size=evaluation.batch_size,
            threads=threads,
            accuracy_only=[name for name, baseline in predictors.BASELINES.items() if not baseline.is_colour],
            recognition=recognised,
            each=partial(_write_pictures, data, folder),
            progress=progress,
        )
        pictures = [where.pictures / path.relative_to(folder) for path in sorted(folder.rglob("*.jpg"))]
        where.manifest.unlink(missing_ok=True)
    samples = data.samples
    over = scores.summed(measured, samples)
    written = [out, where.per_image, *pictures]
    if recognised:
        frechet.put(over, recognised.distances(), recognised.metric)
        recognition.write(where.recognition, recognised.true)
        written.append(where.recognition)
    csv_files.write(out, scores.COLUMNS, scores.rows("", data.name, over, samples))
    per_image.write(where.per_image, "", data.name, table, measured, data.scored)
    manifest = {
        **_made_from(images, split, made_with),
        "train_mean_ab": list(statistics.mean_ab(colours["train"])),
        "colour_counts": {
            name: {str(i): int(values[i]) for i in np.flatnonzero(values)} for name, values in bins.items()
        },
        "files": {path.relative_to(out.parent).as_posix(): files.digest_file(path) for path in written},
    }
    files.write_json(where.manifest, manifest)


def _write_pictures(data: Dataset, folder: Path, batch: Batch, answers: Mapping[str, Ab], pool: Executor) -> None:
    """Write the test images of a batch, in colour and in gray."""

    def write(place: int) -> None:
        lightness, name = batch.truth.lightness[place], jpeg.name(int(batch.rows[place]))
        jpeg.write_jpeg(folder / "true" / name, lab.to_rgb(lightness, batch.truth.ab[place]))
        jpeg.write_jpeg(folder / "gray" / name, lab.gray_levels()[lightness])

    list(pool.map(write, data.places(batch, "test")))


@dataclass(frozen=True)
class Baselines:
    """The baselines' scores, as the evaluation of a run needs them."""

    rows: list[dict[str, str]]
    answers: Mapping[str, Columns]
    rarity: Rarity
    true: recognition.TrueImages | None


def read_baselines(
    path: Path,
    images: Store,
    split: Path,
    evaluation: schema.Evaluation | None = None,
    recognising: schema.Embedding | None = None,
) -> Baselines:
    """Read the files that `score_baselines` wrote.

    Raises:
        InputError: the files are missing, damaged, or made from other images, another split or with other settings.
    """
    where = BaselineFiles(path)
    manifest = files.read_json(where.manifest)
    made_with = settings(evaluation or schema.Evaluation(), recognising)
    made_from = _made_from(images, split, made_with)
    if differences := differing({key: manifest.get(key) for key in made_from}, made_from):
        raise InputError(
            f"{path} was made from other images, another split or seed ({'; '.join(differences)}); run baselines again"
        )
    names = (path.name, where.per_image.name, *([where.recognition.name] if made_with["recognition"] else []))
    files.refuse_damaged(path.parent, {name: manifest["files"].get(name, "none") for name in names})
    counts = {name: np.zeros(metrics.COLOR_BINS, np.int64) for name in PARTITIONS}
    for name, pixels in manifest["colour_counts"].items():
        counts[name][[int(i) for i in pixels]] = list(pixels.values())
    read, measured = per_image.read(where.per_image), Scores(images.rows())
    measured.put(np.array(read.rows), read.answers)
    return Baselines(
        csv_files.read(path, scores.COLUMNS),
        measured.answers,
        _rarity(counts),
        recognition.read(where.recognition, images.rows()) if made_with["recognition"] else None,
    )


def _made_from(images: Store, split: Path, made_with: dict[str, Any]) -> dict[str, object]:
    return {"settings": made_with, "images": images.manifest()["fingerprint"], "split": splits.fingerprint(split)}


def _rarity(counts: Mapping[str, npt.NDArray[np.int64]]) -> Rarity:
    return {name: metrics.rarity(values) for name, values in counts.items()}
