"""The file of measures image by image: a row per answer, metric and image."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.evaluation import scores
from pipeline.evaluation.measures import Columns, Values

COLUMNS = ("run", "dataset", "partition", "id", "group", "row", "answer", "metric", "value")
# Of one image, psnr_pooled is psnr and delta_cf_set is delta_cf_images.
NAMES = (
    *(name for name in scores.METRICS if name not in ("psnr_pooled", "delta_cf_set")),
    *("rgb_mse", "auc_weighted", "rarity", "colourfulness_true", "chroma", "chroma_true"),
)
CHUNK = 100_000  # rows in memory at a time


def write(
    path: Path, run: str, dataset: str, images: Sequence[Mapping[str, str]], answers: Mapping[str, Columns]
) -> None:
    """Write a row per answer, metric and image, with `COLUMNS`.

    Args:
        images: id, group and partition of every image, in the order of the store.
        answers: measures, (n,) float64 each, by answer.
    """
    import pandas as pd

    fixed = pd.DataFrame(
        {
            "run": run,
            "dataset": dataset,
            **{name: [image[name] for image in images] for name in ("partition", "id", "group")},
            "row": np.arange(len(images)),
        }
    )
    with files.written_whole(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(COLUMNS) + "\n")
        for answer, measures in answers.items():
            for name in NAMES:
                metric = scores.METRICS.get(name, scores.mean_of(name))
                if set(metric.needs) <= set(measures):
                    with np.errstate(invalid="ignore", divide="ignore"):
                        part = fixed.assign(answer=answer, metric=name, value=metric.of(measures))
                    part = part[list(COLUMNS)]
                    part.to_csv(file, header=False, index=False, na_rep="nan", lineterminator="\n")


@dataclass(frozen=True)
class PerImage:
    """What a per-image file holds: one entry per image, and measures by answer."""

    partitions: list[str]
    ids: list[str]
    groups: list[str]
    rows: list[int]
    answers: dict[str, dict[str, Values]]


def read(path: Path, answers: Iterable[str] | None = None) -> PerImage:
    """Read what `write` wrote, all answers or some.

    Raises:
        InputError: the file is missing, or is not of that form.
    """
    import pandas as pd

    wanted = None if answers is None else set(answers)
    images: dict[str, list[Any]] = {"partition": [], "id": [], "group": [], "row": []}
    few = ("run", "dataset", "partition", "answer", "metric")  # columns of few different texts
    seen: dict[tuple[str, str], int] = {}
    found: dict[str, dict[str, list[Values]]] = {}
    try:
        types: dict[str, Any] = {
            **dict.fromkeys(COLUMNS, str),
            **dict.fromkeys(few, "category"),
            "row": int,
            "value": float,
        }
        for chunk in pd.read_csv(
            path,
            usecols=COLUMNS,
            dtype=types,
            keep_default_na=False,
            na_values={"value": ["nan"]},
            float_precision="round_trip",  # loses no bit, as pandas' own may
            chunksize=CHUNK,
        ):
            for key, part in chunk.groupby(["answer", "metric"], sort=False, observed=True):
                answer, metric = map(str, key)
                start = seen.get((answer, metric), 0)
                seen[answer, metric] = start + len(part)
                if next(iter(seen)) == (answer, metric):
                    for name, values in images.items():
                        values += part[name].tolist()
                if images["row"][start : start + len(part)] != part["row"].tolist():
                    raise ValueError(f"{answer}, {metric} is of other images than the rows before")
                if wanted is None or answer in wanted:
                    numbers = part["value"].to_numpy(np.float64)
                    found.setdefault(answer, {}).setdefault(metric, []).append(numbers)
        if len(set(seen.values())) > 1:
            raise ValueError("not every answer and metric has all images")
        if len(set(images["row"])) < len(images["row"]) or min(images["row"], default=0) < 0:
            raise ValueError("rows that are negative or stand there twice")
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; run the stage that writes it first") from None
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path}: expected the columns {', '.join(COLUMNS)}, received: {reason}; make the file again"
        ) from None
    columns = {answer: {name: np.concatenate(parts) for name, parts in here.items()} for answer, here in found.items()}
    return PerImage(images["partition"], images["id"], images["group"], images["row"], columns)
