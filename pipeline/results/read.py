"""What the page tells of a run, read from ``results/<run>/``; what is missing or damaged becomes a sentence."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.config import loading
from pipeline.core import files
from pipeline.evaluation import per_image, scores
from pipeline.core.errors import InputError

REPORT = "report"  # the folder of the pages of all results
DIFFERENCE_COLUMNS = ("partition", "answer", "against", "metric", "value", "low", "high", "verdict")
IMAGE_COLUMNS = [name for name in per_image.COLUMNS if name not in ("run", "dataset")]
# What is told of a single image, with the decimals that it is kept with.
OF_AN_IMAGE = {"ciede2000": 2, "rmse": 2, "psnr": 2, "ssim": 4, "accuracy": 4}
LINES_AT_A_TIME = 200_000


class Score(NamedTuple):
    """A value and the ends of its 95 % interval, None where there is none."""

    value: float
    low: float | None = None
    high: float | None = None


class Difference(NamedTuple):
    """A metric of one answer minus that of another, and what may be said of it."""

    score: Score
    verdict: str


@dataclass(frozen=True)
class Images:
    """The test images by row: ids, groups, and the measures of the run's own answer (nan where there is none)."""

    rows: list[int] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    measures: dict[str, list[float]] = field(default_factory=dict)


@dataclass
class RunResults:
    """One folder of results, as far as it can be read.

    Attributes:
        info: run.yaml.
        scores: by partition, answer and metric.
        counts: number of images by partition.
        groups: number of groups of images by partition.
        no_interval: by partition, why there are values without an interval.
        differences: by partition, (answer, against) and metric.
        pictures: rows whose predicted picture is there.
        files: name and size in bytes of every file of the folder.
        problems: what could not be read, a sentence each.
    """

    name: str
    info: dict[str, Any] = field(default_factory=dict)
    dataset: str = "unknown"
    scores: dict[tuple[str, str, str], Score] = field(default_factory=dict)
    counts: dict[str, str] = field(default_factory=dict)
    groups: dict[str, int] = field(default_factory=dict)
    no_interval: dict[str, list[str]] = field(default_factory=dict)
    differences: dict[str, dict[tuple[str, str], dict[str, Difference]]] = field(default_factory=dict)
    images: Images = field(default_factory=Images)
    pictures: frozenset[int] = frozenset()
    files: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def value(self, partition: str, answer: str, metric: str) -> float:
        """A score's value, nan where there is none."""
        score = self.scores.get((partition, answer, metric))
        return math.nan if score is None else score.value

    @property
    def findings(self) -> list[str]:
        """The sentences of run.yaml."""
        found = self.info.get("findings")
        return [str(sentence) for sentence in found] if isinstance(found, list) else []

    @property
    def status(self) -> str:
        """How training ended."""
        return str(self.info.get("status", "unknown"))

    @property
    def weights(self) -> str:
        """Weights of the embedding network: random, imagenet, a file, or unknown."""
        embedding = self.info.get("embedding")
        return str(embedding.get("weights", "unknown")) if isinstance(embedding, Mapping) else "unknown"


def read_runs(results: Path) -> tuple[list[RunResults], list[str]]:
    """Read every run's folder in `results`, sorted by name; of folders that are no run's, a sentence each."""
    runs, left_out = [], []
    entries = results.iterdir() if results.is_dir() else ()
    for folder in sorted(path for path in entries if path.is_dir() and not path.name.startswith(".")):
        if folder.name == REPORT:
            continue
        if not (folder / "metrics.csv").exists() and not (folder / "run.yaml").exists():
            left_out.append(f"{folder.name}: holds neither metrics.csv nor run.yaml.")
        elif not folder.name.isprintable():
            left_out.append(f"{folder.name!a}: cannot be the name of a page; rename the folder.")
        else:
            runs.append(read_run(folder, folder.name))
    return runs, left_out


def read_run(folder: Path, name: str) -> RunResults:
    """Read the results of the run `name`, which lie in `folder`."""
    run = RunResults(name)
    for read in (_read_info, _read_scores, _read_differences, _read_images):
        try:
            read(folder, run)
        except InputError as error:
            run.problems.append(str(error).replace(f"{folder}/", ""))
    dataset = str(run.info.get("dataset") or run.dataset)
    if "/" in dataset or not dataset.isprintable() or dataset in ("", ".", ".."):
        run.problems.append(f"run.yaml: {dataset!a} cannot be the name of a dataset's folder.")
        dataset = "unknown"
    run.dataset = dataset
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.name.startswith("."):
            run.files[path.name] = path.stat().st_size
    run.pictures = pictures(folder / "pictures")
    return run


def pictures(folder: Path) -> frozenset[int]:
    """The rows whose picture, ``<row, six digits>.jpg``, lies in a folder; none where there is no folder."""
    names = (path.stem for path in folder.glob("*.jpg")) if folder.is_dir() else ()
    return frozenset(int(name) for name in names if name.isdecimal() and name == f"{int(name):06d}")


def _read_info(folder: Path, run: RunResults) -> None:
    if not (folder / "run.yaml").exists():
        raise InputError("run.yaml is not there: settings, status and findings are unknown.")
    files.refuse_changed(folder / "run.yaml")
    run.info = loading.read_yaml(folder / "run.yaml")


def _read_scores(folder: Path, run: RunResults) -> None:
    files.refuse_changed(folder / "metrics.csv")
    rows = files.read_csv(folder / "metrics.csv", ("run", "dataset", "partition", "n", "answer", "metric", "value"))
    if not rows:
        raise InputError("metrics.csv has no rows.")
    if other := sorted({row["run"] for row in rows} - {run.name, ""}):
        raise InputError(f"metrics.csv: expected the run {run.name}, received {', '.join(other)}.")
    found: dict[tuple[str, str, str], Score] = {}
    reasons: dict[str, dict[str, None]] = {}
    for line, row in enumerate(rows, start=2):
        partition = row["partition"]
        found[partition, row["answer"], row["metric"]] = _score(row, f"metrics.csv, line {line}")
        if row["n"]:
            run.counts[partition] = row["n"]
        _, marked, reason = (row.get("settings") or "").partition("no interval: ")
        if marked:
            reasons.setdefault(partition, {})[reason] = None
    run.scores = found
    run.no_interval = {partition: list(why) for partition, why in reasons.items()}
    run.dataset = rows[0]["dataset"]


def _read_differences(folder: Path, run: RunResults) -> None:
    differences: dict[str, dict[tuple[str, str], dict[str, Difference]]] = {}
    files.refuse_changed(folder / "differences.csv")
    for line, row in enumerate(files.read_csv(folder / "differences.csv", DIFFERENCE_COLUMNS), start=2):
        metrics = differences.setdefault(row["partition"], {}).setdefault((row["answer"], row["against"]), {})
        metrics[row["metric"]] = Difference(_score(row, f"differences.csv, line {line}"), row["verdict"] or "")
    run.differences = differences


def _score(row: Mapping[str, str], where: str) -> Score:
    try:
        low, high = (float(row[end]) if row.get(end) else None for end in ("low", "high"))
        return Score(float(row["value"]), low, high)
    except (TypeError, ValueError):
        raise InputError(f"{where}: expected numbers, received {row['value']!r}; make the file again.") from None


def _read_images(folder: Path, run: RunResults) -> None:
    import pandas as pd

    path = folder / "per_image.csv"
    types: dict[str, Any] = {
        "partition": "category",
        "answer": "category",
        "metric": "category",
        "id": str,
        "group": str,
    }
    if not path.exists():
        raise InputError("per_image.csv is not there: no test images can be shown.")
    files.refuse_changed(path)
    try:
        # The file holds all partitions and answers, and can be a hundred times what is kept of it.
        parts = []
        groups: dict[str, set[str]] = {}
        for part in pd.read_csv(
            path,
            usecols=IMAGE_COLUMNS,
            dtype=types,
            keep_default_na=False,
            na_values={"value": ["nan", ""]},
            chunksize=LINES_AT_A_TIME,
        ):
            own = part[part["answer"] == scores.MODEL]
            for partition, names in own.groupby("partition", observed=True)["group"]:
                groups.setdefault(str(partition), set()).update(names.unique())
            parts.append(own[(own["partition"] == "test") & own["metric"].isin(list(OF_AN_IMAGE))])
        table = pd.concat(parts).astype({"row": int, "value": float, "metric": str})
        wide = table.pivot(index="row", columns="metric", values="value").sort_index()
        if len(wide) and wide.index[0] < 0:
            raise ValueError(f"the row {wide.index[0]}")
        first = table.drop_duplicates("row").set_index("row").loc[wide.index]
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"per_image.csv: expected the columns {', '.join(IMAGE_COLUMNS)}, received: {reason}; make the file again."
        ) from None
    run.groups = {partition: len(names) for partition, names in groups.items()}
    measures = {name: wide[name].round(digits).tolist() for name, digits in OF_AN_IMAGE.items() if name in wide}
    run.images = Images(wide.index.tolist(), first["id"].tolist(), first["group"].tolist(), measures)
