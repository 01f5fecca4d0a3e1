"""Two runs on the same images: paired differences."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.core.conflicts import differing
from pipeline.core.errors import InputError
from pipeline.core.files import canonical_json
from pipeline.evaluation import intervals, paired, scores, vocabulary
from pipeline.evaluation.per_image import PerImage
from pipeline.results.image_scores import read_images
from pipeline.results.record import read_record, scored_on

COLUMNS = ("metric", "one", "other", "difference", "low", "high", "verdict")


def compare_runs(one: Path, other: Path, partition: str = "test") -> tuple[list[dict[str, Any]], str]:
    """Compare two runs, each ``results/<run>/``, on the same images.

    Returns:
        Rows with `COLUMNS`, and the reason why there is no interval, or "". Differences and verdicts are those of `one`
        against `other`; low and high are None without an interval.

    Raises:
        InputError: results are missing, or the runs were scored on different images or splits.
    """
    records = [read_record(path) for path in (one, other)]
    images = [scored_on(record) for record in records]
    if images[0] != images[1] or None in images[0].values():
        raise InputError(
            f"{one} and {other} were scored on different images or splits ({images[0]}, {images[1]}); "
            "compare runs of one dataset and one split"
        )
    runs = [_within(partition, read_images(path, record)) for path, record in zip((one, other), records, strict=True)]
    if missing := next((path for path, run in zip((one, other), runs, strict=True) if not run.rows), None):
        raise InputError(f"{missing}: no images in the partition {partition}; choose another --partition")
    if runs[0].rows != runs[1].rows or any(scores.MODEL not in run.answers for run in runs):
        raise InputError(f"{one} and {other}: per_image.csv contains different images; evaluate both runs again")
    chosen = scores.samples(runs[0].partitions, runs[0].groups)
    over = scores.summed({name: run.answers[scores.MODEL] for name, run in zip("ab", runs, strict=True)}, chosen)
    here = over[partition]
    rows = []
    for metric in here["a"]:
        if metric in here["b"]:
            value, low, high = paired.compare(here["a"][metric], here["b"][metric])
            better = vocabulary.term(metric).better
            verdict = intervals.verdict(low, high, better) if better else ""
            values = (metric, float(here["a"][metric][0]), float(here["b"][metric][0]), value, low, high, verdict)
            rows.append(dict(zip(COLUMNS, values, strict=True)))
    return rows, chosen[0].jackknife.reason


def other_settings(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """List the settings in which two run.yaml differ, besides names and data, as ``key: one, other``."""
    return differing(_decisive(one), _decisive(other), between="")


def conditions(record: Mapping[str, Any]) -> str:
    """Return text that is equal for two run.yaml that differ at most in names, architecture and data."""
    return canonical_json({name: value for name, value in _decisive(record).items() if name != "architecture"})


def _decisive(record: Mapping[str, Any]) -> dict[str, Any]:
    settings = record.get("settings") or {}
    training = (record.get("configuration") or {}).get("training") or {}
    return {
        **{name: settings.get(name) for name in ("architecture", "predictor", "training", "embeddings")},
        "epochs": training.get("epochs"),
        "weights": record.get("weights_evaluated"),
    }


def _within(partition: str, images: PerImage) -> PerImage:
    """Return the scores of a partition's images: some runs have no others."""
    places = [place for place, name in enumerate(images.partitions) if name == partition]
    answers = {
        answer: {name: values[places] for name, values in measures.items()}
        for answer, measures in images.answers.items()
    }
    return PerImage(
        [partition] * len(places),
        [images.ids[place] for place in places],
        [images.groups[place] for place in places],
        [images.rows[place] for place in places],
        answers,
    )
