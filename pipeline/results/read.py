"""Reading ``results/<run>/`` for the summary, the page, the comparison and the model card.

`read_run` reads as much as it can, and describes what is missing or damaged in a sentence.
`pipeline.results.image_scores` and `pipeline.results.record.read_record` raise an error instead.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.config.paths import ResultFiles
from pipeline.config.runs import RESERVED, Run, diverged, is_untrained, started
from pipeline.core import csv_files, files
from pipeline.core.errors import InputError
from pipeline.embedding import recipe
from pipeline.evaluation import paired, scores, vocabulary
from pipeline.evaluation.predictors import GRAY, MEAN
from pipeline.evaluation.scores import EMBEDDING_MEAN, EMBEDDING_SHUFFLED, MODEL
from pipeline.images import jpeg
from pipeline.results.image_scores import read_images
from pipeline.results.record import read_record

IMAGE_METRICS = ("ciede2000", "rmse", "psnr", "ssim", "accuracy")  # shown for each image on the page


class Score(NamedTuple):
    """A value and its 95 % interval; the ends are None without an interval."""

    value: float
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, row: Mapping[str, str], where: str = "") -> "Score":
        """Return the score in a row of metrics.csv or differences.csv; an error names `where` it is."""
        try:
            return cls(float(row["value"]), *(float(row[end]) if row[end] else None for end in ("low", "high")))
        except (TypeError, ValueError):
            raise InputError(f"{where}: expected numbers, received {row['value']!r}; make the file again.") from None


@dataclass(frozen=True)
class Images:
    """The test images in the order of their rows in the store, with the metrics of the model (NaN if it diverged)."""

    rows: list[int] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    measures: dict[str, list[float]] = field(default_factory=dict)


@dataclass
class RunResults:
    """The results of a run, as far as they can be read.

    Attributes:
        record: contents of run.yaml.
        rows: rows of metrics.csv, as text.
        scores: the same by partition, answer and metric.
        counts: number of images by partition.
        no_interval: by partition, the reasons why values have no interval.
        differences: rows of differences.csv, as text.
        groups: number of groups of images by partition.
        problems: by file name, a sentence about what cannot be read.
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
    groups: Mapping[str, int] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    def score(self, partition: str, metric: str, answer: str = MODEL) -> Score:
        """Return a score; a missing one is NaN without an interval."""
        return self.scores.get((partition, answer, metric), Score(math.nan))

    @cached_property
    def run(self) -> Run | None:
        """The run as its recorded settings, or else its name, describe it; None if neither does."""
        settings = self.record.get("settings")
        try:
            return Run.of_settings({"run": self.name, **(settings if isinstance(settings, Mapping) else {})})
        except InputError:
            return None

    @property
    def dataset(self) -> str:
        """The name of the dataset, or "unknown" if it is missing or cannot be a folder's name."""
        name = str(self.record.get("dataset") or (self.rows[0]["dataset"] if self.rows else "unknown"))
        return name if name.isprintable() and "/" not in name and name not in ("", ".", "..") else "unknown"

    @property
    def findings(self) -> list[str]:
        """The findings in run.yaml."""
        findings = self.record.get("findings")
        return [str(sentence) for sentence in findings] if isinstance(findings, list) else []

    @property
    def one_colour(self) -> bool:
        """Whether the network predicts one colour everywhere."""
        return any(sentence.startswith(paired.ONE_COLOUR) for sentence in self.findings)

    @property
    def status(self) -> str:
        """How training ended."""
        return str(self.record.get("status", "unknown"))

    @property
    def only_scored(self) -> bool:
        """Whether the network is a saved one that was not trained further, or there is none."""
        return self.record.get("epochs") == 0 and not self.diverged

    @property
    def untrained(self) -> bool:
        """Whether these are the answers of a predictor that needs no training."""
        return is_untrained(self.record)

    @property
    def diverged(self) -> bool:
        """Whether the network is that of a diverged training."""
        return diverged(self.record)

    @property
    def weights(self) -> str:
        """Weights of the embedding network: random, imagenet, file, none or unknown."""
        embedding = self.record.get("embedding")
        return str(embedding.get("weights", "unknown")) if isinstance(embedding, Mapping) else "unknown"

    @property
    def embedding(self) -> str:
        """The embedding network and its weights in a few words; "none" or "unknown" without one."""
        return self.weights if self.weights in ("none", "unknown") else recipe.label(self.record["embedding"])

    @property
    def started(self) -> bool:
        """Whether training started from the weights of another network."""
        return started(self.record)

    @property
    def compared(self) -> Sequence[Mapping[str, Any]]:
        """The rows of differences.csv; without them, the differences of the scores, which have no interval."""
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
        """Text that is equal for runs scored on the same images and split: the errors of two baselines, if any."""
        errors = [(p, self.score(p, "rmse", answer).value) for p in sorted(self.counts) for answer in (GRAY, MEAN)]
        return " ".join(f"{partition} {error:.6g}" for partition, error in errors if not math.isnan(error))

    @cached_property
    def pictures(self) -> frozenset[int]:
        """The rows that have a predicted picture."""
        return pictures(ResultFiles(self.folder).pictures)

    @cached_property
    def files(self) -> dict[str, int]:
        """Size in bytes of each file in the folder, by name."""
        paths = sorted(path for path in self.folder.iterdir() if path.is_file() and not path.name.startswith("."))
        return {path.name: path.stat().st_size for path in paths}


def read_runs(results: Path, *, images: bool = True) -> tuple[list[RunResults], list[str]]:
    """Read all runs in `results`, sorted by name, and describe each folder that is not a run in a sentence."""
    runs, left_out = [], []
    entries = results.iterdir() if results.is_dir() else ()
    for folder in sorted(path for path in entries if path.is_dir() and not path.name.startswith(".")):
        if folder.name in RESERVED:
            continue
        if not ResultFiles(folder).metrics.exists() and not ResultFiles(folder).record.exists():
            left_out.append(f"{folder.name}: contains neither metrics.csv nor run.yaml.")
        elif not folder.name.isprintable():
            left_out.append(f"{folder.name!a}: not a usable name; rename the folder.")
        else:
            runs.append(read_run(folder, folder.name, images=images))
    return runs, left_out


def read_run(folder: Path, name: str, *, images: bool = True) -> RunResults:
    """Read the results of the run `name` from `folder`; the scores of single images only if `images` is true."""
    run = RunResults(folder, name)
    where = ResultFiles(folder)
    readers = {where.record: _read_record, where.metrics: _read_scores, where.differences: _read_differences}
    for path, read in (readers | ({where.per_image: _read_images} if images else {})).items():
        try:
            read(path, run)
        except InputError as error:
            run.problems[path.name] = str(error).replace(f"{folder}/", "").replace(f"{folder}:", f"{path.name}:")
    return run


def pictures(folder: Path) -> frozenset[int]:
    """Return the rows that have a picture in a folder, which need not exist; see `jpeg.name`."""
    names = {path.name for path in folder.glob("*.jpg")}
    rows = {int(name[:-4]) for name in names if name[:-4].isdecimal()}
    return frozenset(row for row in rows if jpeg.name(row) in names)


def _read_record(path: Path, run: RunResults) -> None:
    run.record = read_record(run.folder)
    name = str(run.record.get("dataset") or run.dataset)
    if name != run.dataset:
        raise InputError(f"{path}: {name!a} is not a valid dataset name; evaluate the run again")


def _read_scores(path: Path, run: RunResults) -> None:
    files.refuse_changed(path)
    rows = csv_files.read(path, scores.COLUMNS)
    if not rows:
        raise InputError(f"{path}: expected rows, received none; evaluate the run again")
    rows = _without_diverged(run, rows)
    read: dict[tuple[str, str, str], Score] = {}
    reasons: dict[str, dict[str, None]] = {}
    for line, row in enumerate(rows, start=2):
        row["run"] = row["run"] or run.name  # rows of the dataset's baselines name no run
        if row["run"] != run.name:
            raise InputError(
                f"{path}, line {line}: expected the run {run.name}, received {row['run']}; evaluate the run again"
            )
        read[row["partition"], row["answer"], row["metric"]] = Score.of(row, f"{path}, line {line}")
        if row["n"]:  # empty for the paper's scores
            run.counts[row["partition"]] = row["n"]
            if reason := scores.why_no_interval(row):
                reasons.setdefault(row["partition"], {})[reason] = None
    recorded = run.record.get("partitions", {})  # older records lack it
    run.counts |= {name: str(each["images"]) for name, each in recorded.items()}
    run.rows, run.scores = rows, read
    run.no_interval = {partition: list(texts) for partition, texts in reasons.items()}


def _read_differences(path: Path, run: RunResults) -> None:
    files.refuse_changed(path)
    rows = _without_diverged(run, csv_files.read(path, paired.COLUMNS))
    for line, row in enumerate(rows, start=2):
        Score.of(row, f"{path}, line {line}")
    run.differences = rows


def _without_diverged(run: RunResults, rows: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Return rows without the scores that earlier versions could give to a diverged network."""
    if not run.diverged:
        return list(rows)
    nothing = {"value": "nan", "low": "", "high": "", "verdict": "no interval"}
    own = (MODEL, EMBEDDING_SHUFFLED, EMBEDDING_MEAN)
    return [{name: nothing.get(name, row[name]) for name in row} if row["answer"] in own else row for row in rows]


def _read_images(path: Path, run: RunResults) -> None:
    images = read_images(path.parent, run.record)
    scored = Counter(partition for partition, _ in set(zip(images.partitions, images.groups, strict=True)))
    run.groups = scored | {name: each["groups"] for name, each in run.record.get("partitions", {}).items()}
    test = sorted((row, place) for place, row in enumerate(images.rows) if images.partitions[place] == "test")
    places = [place for _, place in test]
    measures = images.answers.get(MODEL, {})
    run.images = Images(
        rows=[row for row, _ in test],
        ids=[images.ids[place] for place in places],
        measures={
            name: measures[name][places].round(vocabulary.term(name).digits).tolist()
            for name in IMAGE_METRICS
            if name in measures
        },
    )
