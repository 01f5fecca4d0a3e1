"""The file of scores per image, with a row per answer, metric and image."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config.partitions import PARTITIONS
from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.evaluation.measures import METRICS, Columns
from pipeline.evaluation.metrics import Values

COLUMNS = ("run", "dataset", "partition", "id", "group", "row", "answer", "metric", "value")
TYPES = {name: {"row": "int64", "value": "double"}.get(name, "string") for name in COLUMNS}  # in a Parquet file


def write(
    path: Path,
    run: str,
    dataset: str,
    images: Sequence[Mapping[str, str]],
    answers: Mapping[str, Columns],
    scored: Collection[str] = PARTITIONS,
) -> None:
    """Write a file with `COLUMNS`.

    Args:
        images: id, group and partition of every image, in the order of the store.
        answers: (n,) float64 by answer and measure.
        scored: the partitions whose images the file contains.
    """
    import pandas as pd

    fixed = pd.DataFrame({name: [image[name] for image in images] for name in ("partition", "id", "group")})
    fixed = fixed.assign(run=run, dataset=dataset, row=np.arange(len(images)))
    with files.written_whole(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(COLUMNS) + "\n")
        for answer, measures in answers.items():
            for name in _names():
                values = METRICS[name].of(measures) if name in METRICS else measures.get(name)
                if values is not None:
                    part = fixed.assign(answer=answer, metric=name, value=values)[list(COLUMNS)]
                    part = part[part["partition"].isin(scored)]
                    part.to_csv(file, header=False, index=False, na_rep="nan", lineterminator="\n")


def _names() -> Iterable[str]:
    """Return the metrics that the file has, then the measures that only other metrics are computed from."""
    metrics = METRICS.values()
    measures = (measure for metric in metrics for measure in metric.measures)
    return dict.fromkeys([*(metric.name for metric in metrics if metric.per_image), *measures])


@dataclass(frozen=True)
class PerImage:
    """The contents of a per-image file: an entry per image, and (n,) float64 by answer and metric or measure."""

    partitions: list[str]
    ids: list[str]
    groups: list[str]
    rows: list[int]
    answers: dict[str, dict[str, Values]]


def read(path: Path, answers: Iterable[str] | None = None) -> PerImage:
    """Read a per-image file, with all answers or with these.

    Raises:
        InputError: the file is missing or malformed.
    """
    import pandas as pd

    chosen = None if answers is None else set(answers)
    types: dict[str, Any] = {**dict.fromkeys(COLUMNS, "category"), "id": str, "group": str, "row": int, "value": float}
    try:
        table = pd.read_csv(path, usecols=COLUMNS, dtype=types, keep_default_na=False, na_values={"value": ["nan"]})
        images, measured = table[:0], dict[str, dict[str, Values]]()
        for number, (key, part) in enumerate(table.groupby(["answer", "metric"], sort=False, observed=True)):
            answer, metric = map(str, key)
            images = images if number else part
            if part["row"].tolist() != images["row"].tolist() or not part["row"].is_unique:
                raise ValueError(f"the rows of {answer}, {metric} are not one per image")
            if chosen is None or answer in chosen:
                measured.setdefault(answer, {})[metric] = part["value"].to_numpy(np.float64)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; run the stage that writes it first") from None
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path}: expected the columns {', '.join(COLUMNS)}, received: {reason}; run the stage that writes it again"
        ) from None
    partitions, ids, groups = (images[name].tolist() for name in ("partition", "id", "group"))
    return PerImage(partitions, ids, groups, images["row"].tolist(), measured)
