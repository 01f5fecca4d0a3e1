"""What ``results/<run>/`` holds, read for the summary, the page, the comparison and the model card.

`read_run` reads as much as it can: what is missing or damaged becomes a sentence. `read_images` and
`pipeline.results.record.read_record` refuse instead.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.config.paths import ResultFiles, SummaryFiles
from pipeline.config.runs import Run
from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.evaluation import paired, per_image, scores, vocabulary
from pipeline.evaluation.predictors import GRAY, MEAN
from pipeline.evaluation.scores import MODEL
from pipeline.images import jpeg
from pipeline.results.record import read_record

OF_AN_IMAGE = ("ciede2000", "rmse", "psnr", "ssim", "accuracy")  # metrics that the page shows of a single image


class Score(NamedTuple):
    """A value and the ends of its 95 % interval, None where there is none."""

    value: float
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, row: Mapping[str, str]) -> "Score":
        """That of a row of metrics.csv or differences.csv."""
        low, high = (float(row[end]) if row[end] else None for end in ("low", "high"))
        return cls(float(row["value"]), low, high)


@dataclass(frozen=True)
class Images:
    """The test images by row: ids, and the metrics of the run's own answer (nan where there is none)."""

    rows: list[int] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    measures: dict[str, list[float]] = field(default_factory=dict)


@dataclass
class RunResults:
    """One folder of results, as far as it can be read.

    Attributes:
        record: run.yaml.
        rows: those of metrics.csv, as text.
        scores: the same by partition, answer and metric.
        counts: number of images by partition.
        no_interval: by partition, why there are values without an interval.
        differences: the rows of differences.csv, as text.
        groups: number of groups of images by partition.
        problems: what could not be read, a sentence each, by the file's name.
    """

    folder: Path
    name: str
    record: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, str]] = field(default_factory=list)
    scores: dict[tuple[str, str, str], Score] = field(default_factory=dict)
    counts: dict[str, str] = field(default_factory=dict)
    no_interval: dict[str, list[str]] = field(default_factory=dict)
    differences: list[dict[str, str]] = field(default_factory=list)
    images: Images = field(default_factory=Images)
    groups: dict[str, int] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    def score(self, partition: str, metric: str, answer: str = MODEL) -> Score:
        """A score; nan without an interval where there is none."""
        return self.scores.get((partition, answer, metric), Score(math.nan))

    @cached_property
    def run(self) -> Run | None:
        """What its recorded settings, or else its name, say of the run; None where neither does."""
        settings = self.record.get("settings")
        try:
            return Run.of_settings({"run": self.name, **(settings if isinstance(settings, Mapping) else {})})
        except InputError:
            return None

    @property
    def dataset(self) -> str:
        """The name of its dataset, which can be that of a folder; else "unknown"."""
        name = str(self.record.get("dataset") or (self.rows[0]["dataset"] if self.rows else "unknown"))
        return name if name.isprintable() and "/" not in name and name not in ("", ".", "..") else "unknown"

    @property
    def findings(self) -> list[str]:
        """The sentences of run.yaml."""
        found = self.record.get("findings")
        return [str(sentence) for sentence in found] if isinstance(found, list) else []

    @property
    def one_colour(self) -> bool:
        """Whether its network answers one colour everywhere."""
        return any(sentence.startswith(paired.ONE_COLOUR) for sentence in self.findings)

    @property
    def status(self) -> str:
        """How training ended."""
        return str(self.record.get("status", "unknown"))

    @property
    def weights(self) -> str:
        """Weights of the embedding network: random, imagenet, a file, or unknown."""
        embedding = self.record.get("embedding")
        return str(embedding.get("weights", "unknown")) if isinstance(embedding, Mapping) else "unknown"

    @property
    def compared(self) -> list[dict[str, Any]]:
        """The rows of differences.csv; where there are none, differences of the scores, which have no interval."""
        return self.differences or [
            {
                "partition": partition,
                "answer": MODEL,
                "against": answer,
                "metric": metric,
                "value": self.score(partition, metric).value - score.value,
                "verdict": "no interval",
            }
            for (partition, answer, metric), score in self.scores.items()
            if answer != MODEL and (partition, MODEL, metric) in self.scores
        ]

    @property
    def scored_on(self) -> str:
        """Text that is equal for runs scored on equal images and splits: two baselines' errors; empty without these."""
        known = {p: [self.score(p, "rmse", answer).value for answer in (GRAY, MEAN)] for p in sorted(self.counts)}
        return " ".join(f"{p} {v:.6g}" for p, values in known.items() for v in values if not math.isnan(v))

    @cached_property
    def pictures(self) -> frozenset[int]:
        """The rows whose predicted picture is there."""
        return pictures(ResultFiles(self.folder).pictures)

    @cached_property
    def files(self) -> dict[str, int]:
        """Name and size in bytes of every file of the folder."""
        found = sorted(path for path in self.folder.iterdir() if path.is_file() and not path.name.startswith("."))
        return {path.name: path.stat().st_size for path in found}


def read_runs(results: Path, *, images: bool = True) -> tuple[list[RunResults], list[str]]:
    """Read every run's folder in `results`, sorted by name; of folders that are no run's, a sentence each."""
    runs, left_out = [], []
    entries = results.iterdir() if results.is_dir() else ()
    for folder in sorted(path for path in entries if path.is_dir() and not path.name.startswith(".")):
        if folder.name == SummaryFiles.pages.name:
            continue
        if not ResultFiles(folder).metrics.exists() and not ResultFiles(folder).record.exists():
            left_out.append(f"{folder.name}: contains neither metrics.csv nor run.yaml.")
        elif not folder.name.isprintable():
            left_out.append(f"{folder.name!a}: not a usable name; rename the folder.")
        else:
            runs.append(read_run(folder, folder.name, images=images))
    return runs, left_out


def read_run(folder: Path, name: str, *, images: bool = True) -> RunResults:
    """Read the results of the run `name`, which lie in `folder`; `images`: those of single images too."""
    run = RunResults(folder, name)
    where = ResultFiles(folder)
    parts: dict[Path, Callable[[Path, RunResults], None]] = {
        where.record: _take_record,
        where.metrics: _take_scores,
        where.differences: _take_differences,
        **({where.per_image: _take_images} if images else {}),
    }
    for path, take in parts.items():
        try:
            take(path, run)
        except InputError as error:
            run.problems[path.name] = str(error).replace(f"{folder}/", "").replace(f"{folder}:", f"{path.name}:")
    return run


def read_images(folder: Path) -> per_image.PerImage:
    """The metrics of the run's own answer, image by image.

    Raises:
        InputError: per_image.csv is missing or damaged.
    """
    path = ResultFiles(folder).per_image
    files.refuse_changed(path)
    return per_image.read(path, [MODEL])


def pictures(folder: Path) -> frozenset[int]:
    """The rows whose picture, named by `jpeg.name`, lies in a folder; none where there is no folder."""
    names = {path.name for path in folder.glob("*.jpg")} if folder.is_dir() else set()
    rows = {int(name[:-4]) for name in names if name[:-4].isdecimal()}
    return frozenset(row for row in rows if jpeg.name(row) in names)


def _take_record(path: Path, run: RunResults) -> None:
    run.record = read_record(run.folder)
    told = str(run.record.get("dataset") or run.dataset)
    if told != run.dataset:
        raise InputError(f"{path}: {told!a} cannot be the name of a dataset's folder.")


def _take_scores(path: Path, run: RunResults) -> None:
    files.refuse_changed(path)
    rows = files.read_csv(path, scores.COLUMNS)
    if not rows:
        raise InputError(f"{path} has no rows.")
    found: dict[tuple[str, str, str], Score] = {}
    reasons: dict[str, dict[str, None]] = {}
    for line, row in enumerate(rows, start=2):
        row["run"] = row["run"] or run.name  # a row of the dataset's baselines may be for all runs
        if row["run"] != run.name:
            raise InputError(f"{path}, line {line}: expected the run {run.name}, received {row['run']}.")
        found[row["partition"], row["answer"], row["metric"]] = _score(row, f"{path}, line {line}")
        if row["n"]:  # the paper's scores have none
            run.counts[row["partition"]] = row["n"]
            if reason := (row["settings"] or "").partition("no interval: ")[2]:
                reasons.setdefault(row["partition"], {})[reason] = None
    run.rows, run.scores = rows, found
    run.no_interval = {partition: list(told) for partition, told in reasons.items()}


def _take_differences(path: Path, run: RunResults) -> None:
    files.refuse_changed(path)
    rows = files.read_csv(path, paired.COLUMNS)
    for line, row in enumerate(rows, start=2):
        _score(row, f"{path}, line {line}")
    run.differences = rows


def _score(row: Mapping[str, str], where: str) -> Score:
    try:
        return Score.of(row)
    except (TypeError, ValueError):
        raise InputError(f"{where}: expected numbers, received {row['value']!r}; make the file again.") from None


def _take_images(path: Path, run: RunResults) -> None:
    found = read_images(path.parent)
    measures = found.answers.get(MODEL, {})
    groups: dict[str, set[str]] = {}
    for partition, group in zip(found.partitions, found.groups, strict=True):
        groups.setdefault(partition, set()).add(group)
    run.groups = {partition: len(names) for partition, names in groups.items()}
    test = sorted((row, place) for place, row in enumerate(found.rows) if found.partitions[place] == "test")
    places = [place for _, place in test]
    run.images = Images(
        rows=[row for row, _ in test],
        ids=[found.ids[place] for place in places],
        measures={
            name: measures[name][places].round(vocabulary.term(name).digits).tolist()
            for name in OF_AN_IMAGE
            if name in measures
        },
    )
