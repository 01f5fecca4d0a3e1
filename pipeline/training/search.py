"""The trials of a search: Optuna chooses their settings and stops hopeless ones; an SQLite file keeps them.

A trial depends on the search's settings and on the trials before it alone, so a search that was killed goes on as if it
had not been: it repeats the trial that was running, which continues from its run's checkpoint. SQLite's transactions
survive a kill at any moment; of Optuna's other storage in a file, a log, the last line could be torn.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from pipeline.config import combining, searches
from pipeline.core import files
from pipeline.core.conflicts import refuse_other

JUDGED_BY = "val_mse"  # of the history; unlike the loss, it is the same for every head
BEFORE_PRUNING = 5  # trials that must be complete
SAMPLERS = {"tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}
_PROBLEM = "problem"  # what a trial that is not complete ended with

optuna.logging.set_verbosity(optuna.logging.WARNING)


class Pruned(Exception):
    """A trial is worse than the median of the others so far."""


class Trial:
    """A trial that is running.

    Attributes:
        values: of the settings: a number, or a choice's label.
    """

    def __init__(self, study: optuna.Study, frozen: FrozenTrial) -> None:
        self.number: int = frozen.number
        self.values: dict[str, Any] = frozen.params
        self._study, self._frozen = study, frozen
        self._judged = 0

    def judge(self, history: Sequence[Mapping[str, float]]) -> None:
        """Take note of a run's epochs so far; raise `Pruned` if the trial shall end."""
        reported: dict[int, float] = {}
        for epoch, row in enumerate(history, 1):
            if not math.isfinite(value := row[JUDGED_BY]):
                return
            reported[epoch] = value
            if epoch <= self._judged:
                continue
            self._judged = epoch
            storage = self._study._storage
            storage.set_trial_intermediate_value(self._frozen._trial_id, epoch, value)
            so_far = optuna.trial.create_trial(state=TrialState.RUNNING, intermediate_values=reported)
            if self._study.pruner.prune(self._study, so_far):
                self._end(TrialState.PRUNED, f"pruned after epoch {epoch}")
                raise Pruned

    def complete(self, value: float) -> None:
        """Record the score, of which less is better."""
        self._study._storage.set_trial_state_values(self._frozen._trial_id, TrialState.COMPLETE, [value])

    def fail(self, problem: str) -> None:
        """Record that there is no score."""
        self._end(TrialState.FAIL, problem)

    def _end(self, state: TrialState, problem: str) -> None:
        self._study._storage.set_trial_user_attr(self._frozen._trial_id, _PROBLEM, problem)
        self._study._storage.set_trial_state_values(self._frozen._trial_id, state)


class Search:
    """A search in its file.

    Args:
        path: of the SQLite file.
        name: of the search.
        search: its settings.
        settings: all that its trials depend on, as JSON values.
        replace: whether a search with other settings may be replaced.

    Raises:
        InputError: the file has a search with other settings.
    """

    def __init__(
        self, path: Path, name: str, search: combining.Search, settings: Mapping[str, Any], *, replace: bool = False
    ) -> None:
        self._search = search
        self._distributions = {key: _distribution(search.space, key) for key in search.space}
        old = dict(_open(path, name).user_attrs["settings"]) if path.exists() else None
        if old is not None and old != settings:
            if not replace:
                refuse_other(path, old, settings)
            path.unlink()
        if not path.exists():
            with files.written_whole(path) as temporary:
                _open(temporary, name).set_user_attr("settings", dict(settings))
        self._study = _open(path, name)
        self._study.pruner = _pruner(search)

    def trials(self) -> Iterator[Trial]:
        """Yield the trial that was running when the search was stopped, if any, and then new ones, one at a time."""
        while True:
            found = self._study.get_trials(deepcopy=False)
            running = [each for each in found if each.state == TrialState.RUNNING]
            if not running and len(found) >= self._search.trials:
                return
            if not running:
                self._study.add_trial(self._chosen(found))
                continue
            yield Trial(self._study, running[0])

    def found(self) -> list[tuple[int, dict[str, Any], str]]:
        """Return the number, values and, without a score, the problem of each trial."""
        return [(each.number, each.params, str(each.user_attrs.get(_PROBLEM, ""))) for each in self._study.get_trials()]

    def _chosen(self, found: Sequence[FrozenTrial]) -> FrozenTrial:
        """Choose the values of the next trial, by a sampler whose seed belongs to its number."""
        seed = int(np.random.SeedSequence((self._search.seed, len(found))).generate_state(1)[0])
        study = optuna.create_study(sampler=SAMPLERS[self._search.sampler](seed=seed))
        study.add_trials(found)
        values = study.ask(self._distributions).params
        rounded = {key: _rounded(self._distributions[key], value) for key, value in values.items()}
        return optuna.trial.create_trial(state=TrialState.RUNNING, params=rounded, distributions=self._distributions)


def _open(path: Path, name: str) -> optuna.Study:
    return optuna.create_study(storage=f"sqlite:///{path.absolute()}", study_name=name, load_if_exists=True)


def _pruner(search: combining.Search) -> optuna.pruners.BasePruner:
    if search.pruner == "none":
        return optuna.pruners.NopPruner()
    return optuna.pruners.MedianPruner(BEFORE_PRUNING, search.fewest_epochs)


def _distribution(space: Mapping[str, Any], key: str) -> optuna.distributions.BaseDistribution:
    values = space[key]
    if not isinstance(values, combining.Range):
        return optuna.distributions.CategoricalDistribution([label for label, _ in searches.choices(space, key)])
    if all(isinstance(end, int) for end in (values.low, values.high, values.step or 1)):
        return optuna.distributions.IntDistribution(
            int(values.low), int(values.high), log=values.log, step=int(values.step or 1)
        )
    return optuna.distributions.FloatDistribution(
        float(values.low), float(values.high), log=values.log, step=values.step
    )


def _rounded(distribution: optuna.distributions.BaseDistribution, value: Any) -> Any:
    """Return a real number with three digits: more would say nothing, and make long names."""
    if not isinstance(distribution, optuna.distributions.FloatDistribution):
        return value
    rounded = float(f"{value:.{12 if distribution.step else 3}g}")
    return min(max(rounded, distribution.low), distribution.high)
