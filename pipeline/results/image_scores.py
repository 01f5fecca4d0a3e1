"""The scores of a run's single images."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config.paths import ResultFiles
from pipeline.config.runs import diverged
from pipeline.core import files
from pipeline.evaluation import per_image, scores
from pipeline.evaluation.metrics import Values
from pipeline.evaluation.scores import MODEL


def read_images(folder: Path, record: Mapping[str, Any]) -> per_image.PerImage:
    """Read the model's metrics of each image, NaN if the run.yaml `record` is that of a diverged network.

    Raises:
        InputError: per_image.csv is missing or damaged.
    """
    path = ResultFiles(folder).per_image
    files.refuse_changed(path)
    images = per_image.read(path, [MODEL])
    if diverged(record):
        for measures in images.answers.values():
            measures.update({name: np.full_like(values, np.nan) for name, values in measures.items()})
    return images


def summed(folder: Path, record: Mapping[str, Any], partition: str) -> Mapping[str, Values]:
    """Return the model's metrics over a partition as `scores.summed` does; none if none of its images were scored.

    Raises:
        InputError: per_image.csv is missing or damaged.
    """
    images = read_images(folder, record)
    samples = [each for each in scores.samples(images.partitions, images.groups) if each.partition == partition]
    return scores.summed({MODEL: images.answers[MODEL]}, samples)[partition][MODEL] if samples else {}
