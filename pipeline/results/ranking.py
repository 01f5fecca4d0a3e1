"""The combinations of a sweep or the trials of a search, ranked on the validation images.

They are written into results/sweeps/<name>.md, .csv, .png and .svg.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config.paths import Paths, ResultFiles, RunFiles, SweepFiles
from pipeline.config.schema import Config
from pipeline.config.sweeps import Combination, of_config
from pipeline.core import csv_files, files, locks
from pipeline.core.errors import InputError
from pipeline.evaluation import intervals, paired
from pipeline.evaluation.metrics import Values
from pipeline.evaluation.vocabulary import number, term
from pipeline.figures import effects
from pipeline.results import costs, image_scores
from pipeline.results.markdown import environment, table
from pipeline.results.record import read_record, scored_on
from pipeline.results.tables import MISSING

PARTITION = "validation"
METRIC = "rmse"
BEST, UNCLEAR = "best", "cannot be told from the best"
COLUMNS = (
    *("rank", "combination", "settings", "metric", "seeds", "asked", "value", "low", "high", "seeds_low", "seeds_high"),
    *("minus_best", "minus_best_low", "minus_best_high", "verdict", "problems"),
)
Ends = tuple[float, float | None, float | None]  # a value, and the ends of its 95 % interval or None
NONE: Ends = (math.nan, None, None)


@dataclass
class Ranked:
    """A combination and its score, the mean over the seeds that were evaluated.

    Attributes:
        combination: see `pipeline.config.sweeps`.
        found: the metric of each finished run over all validation images, and without each group.
        problems: what is wrong with the others, by run.
        against_best: the difference from the best combination on the same images.
        verdict: of that difference.
        cost: the mean over seeds.
    """

    combination: Combination
    found: list[Values]
    problems: dict[str, str]
    against_best: Ends = NONE
    verdict: str = ""
    cost: costs.Cost = costs.UNKNOWN

    @property
    def mean(self) -> Values:
        """The mean over seeds, for all images and without each group; empty if no run is finished."""
        return np.mean(self.found, axis=0) if self.found else np.zeros(0)

    @property
    def over_images(self) -> Ends:
        """The score and its interval over images."""
        return intervals.interval(self.mean) if self.found else NONE

    @property
    def over_seeds(self) -> Ends:
        """The score and Student's t interval over seeds, at least two."""
        values = [float(each[0]) for each in self.found]
        mean = float(np.mean(values)) if values else math.nan
        if len(values) < 2 or not math.isfinite(mean):
            return mean, None, None
        from scipy.special import stdtrit

        half = float(stdtrit(len(values) - 1, 0.975)) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
        return mean, mean - half, mean + half


def write(
    config: Config,
    name: str,
    metric: str = METRIC,
    trials: Sequence[Combination] | None = None,
    known: Mapping[str, str] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> list[Ranked]:
    """Rank the combinations of a sweep, and write its table and figure. Runs that are not finished are rows too.

    Args:
        config: has the sweep or the search.
        name: of the sweep, or of a search.
        metric: on the validation images.
        trials: those of a search.
        known: why a trial's run has no score.
        facts: more facts for the manifest.

    Raises:
        InputError: the metric has no better direction.
    """
    if (better := term(metric).better) is None:
        raise InputError(f"--by: expected a metric with a better direction, such as rmse, received {metric}")
    where = SweepFiles(Paths(config).results, name)
    where.directory.mkdir(parents=True, exist_ok=True)
    with locks.in_turn(where.lock):
        combinations = of_config(config, name) if trials is None else trials
        ranked = rank(config, combinations, metric, known)
        kind, base = ("sweep", config.sweeps) if trials is None else ("search", config.searches)
        rows = [_row(place, each, metric) for place, each in enumerate(ranked, start=1)]
        text = environment().get_template("sweep.md").render(
            kind=kind.capitalize(), name=name, base=base[name].extends or "", metric=term(metric), better=better,
            dataset=config.dataset, combinations=len(ranked), table=_table(ranked, metric),
            costs=where.costs.name, unclear=UNCLEAR,
            problems=[f"{run}: {problem}" for each in ranked for run, problem in each.problems.items()],
        )  # fmt: skip
        where.manifest.unlink(missing_ok=True)
        effects.draw(
            where.figure, [(each.combination.values, each.over_images) for each in ranked], metric, f"{kind} {name}"
        )
        csv_files.write(where.table, COLUMNS, rows)
        costs.write(where.costs, [(each.combination.name, each.cost) for each in ranked])
        files.write_text(where.text, text)
        written = (where.table, where.text, where.figure, where.figure.with_suffix(".svg"))
        runs = [run for each in combinations for run in each.runs]
        facts = {**(facts or {}), "runs": runs, "files": {path.name: files.digest_file(path) for path in written}}
        files.write_json(where.manifest, facts)
    return ranked


def score(result: Path) -> float:
    """Return what trials are judged by: the metric `METRIC` of a run on the validation images.

    Raises:
        InputError: ``results/<run>/`` is damaged.
    """
    return float(_Images().metric(result, METRIC)[0])


def rank(
    config: Config, combinations: Sequence[Combination], metric: str = METRIC, known: Mapping[str, str] | None = None
) -> list[Ranked]:
    """Return combinations, the best first, those without a score last; `known` says why some have none."""
    paths, images = Paths(config), _Images()
    ranked = []
    for combination in combinations:
        each = Ranked(combination, [], {})
        for run in combination.runs:
            if problem := (known or {}).get(run):
                each.problems[run] = problem
                continue
            try:
                each.found.append(images.metric(paths.results / run, metric))
            except InputError as error:
                unfinished = not ResultFiles(paths.results / run).record.exists()
                each.problems[run] = _unfinished(paths, run) if unfinished else str(error)
        each.cost = costs.mean(costs.read(config, run) for run in combination.runs)
        ranked.append(each)
    sign = -1 if term(metric).better == "higher" else 1
    ranked.sort(key=lambda each: (not math.isfinite(each.over_images[0]), sign * each.over_images[0]))
    best = ranked[0]
    for each in ranked:
        if not math.isfinite(each.over_images[0]):
            each.verdict = "diverged" if each.found else (known or {}).get(each.combination.name, "not finished")
        elif each is best:
            each.verdict = BEST
        else:
            each.against_best = paired.compare(each.mean, best.mean)
            judged = intervals.verdict(*each.against_best[1:], term(metric).better or "lower")
            each.verdict = UNCLEAR if judged == "no clear difference" else judged
    return ranked


class _Images:
    """Reads runs, which must have been scored on the same images."""

    def __init__(self) -> None:
        self._fingerprints: dict[str, Any] = {}

    def metric(self, result: Path, metric: str) -> Values:
        record = read_record(result)
        own = scored_on(record)
        if own != (self._fingerprints or own):
            raise InputError("scored on other images or another split; see `python -m stages verify`")
        self._fingerprints = own
        over = image_scores.summed(result, record, PARTITION)
        if metric not in over:
            raise InputError(f"has no {term(metric).label}; evaluate it again")
        return over[metric]


def _unfinished(paths: Paths, run: str) -> str:
    log = Path(paths.log("train", run))
    if RunFiles(paths.model(run)).summary.exists():
        log = Path(paths.log("evaluate", run))
    return f"not finished; see {log}" if log.exists() else "not begun"


def _table(ranked: Sequence[Ranked], metric: str) -> Any:
    settings = list(ranked[0].combination.values)
    headings = ["", *settings, "seeds", f"{term(metric).label}, {PARTITION}", "over seeds", "minus best", "verdict"]
    rows = []
    for place, each in enumerate(ranked, start=1):
        finished = math.isfinite(each.over_images[0])
        rows.append([
            place if finished else MISSING, *each.combination.values.values(),
            f"{len(each.found)} of {len(each.combination.runs)}", _cell(each.over_images, metric),
            _cell(each.over_seeds, metric) if each.over_seeds[1] is not None else MISSING,
            _cell(each.against_best, metric, sign=True), each.verdict,
        ])  # fmt: skip
    return table(headings, ["--:", *[":--"] * len(settings), "--:", "--:", "--:", "--:", ":--"], rows)


def _cell(ends: Ends, metric: str, *, sign: bool = False) -> str:
    value, low, high = ends
    if not math.isfinite(value):
        return MISSING
    text = number(value, metric, sign=sign)
    if low is None or high is None:
        return text
    return f"{text} ({number(low, metric, sign=sign)} to {number(high, metric, sign=sign)})"


def _row(place: int, each: Ranked, metric: str) -> dict[str, Any]:
    def three(ends: Ends) -> list[object]:
        return ["" if value is None or math.isnan(value) else value for value in ends]

    settings = "; ".join(f"{key}={value}" for key, value in each.combination.values.items())
    problems = "; ".join(f"{run}: {problem}" for run, problem in each.problems.items())
    own = (len(each.found), len(each.combination.runs), *three(each.over_images), *three(each.over_seeds)[1:])
    values = (place, each.combination.name, settings, metric, *own, *three(each.against_best), each.verdict, problems)
    return dict(zip(COLUMNS, values, strict=True))
