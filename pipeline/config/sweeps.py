"""Sweeps: one experiment with every combination of some settings, each combination an experiment of its own.

A sweep extends an experiment. Its grid gives each setting's values, its points are sets of settings, and its seeds
train each combination several times. The experiment of a combination is named after the sweep and the values, for
example ``rates.learning_rate-1e-3.mirror-true``; with the seeds, its runs are ``…``, ``…_s1`` and so on.

A sweep may also name its runs, each of which is a combination with the one setting ``run``.
"""

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.core.errors import InputError, about
from pipeline.core.text import shown

if TYPE_CHECKING:
    from pipeline.config.combining import Sweep
    from pipeline.config.schema import Config

MOST = 1000  # combinations in a sweep
POINT = "point"  # the setting of a combination that comes from `points`
RUN = "run"  # the setting of a combination that is one of `runs`


class Combination(NamedTuple):
    """One combination of a sweep.

    Attributes:
        name: of its experiment.
        values: a label of each setting's value, by setting.
        changes: of the sweep's experiment, nested as there.
        runs: names, one for each seed.
    """

    name: str
    values: dict[str, str]
    changes: dict[str, Any]
    runs: tuple[str, ...]


def combinations(name: str, sweep: "Sweep", seed: int) -> list[Combination]:
    """Return the combinations of a sweep, the last setting changing first.

    Args:
        name: of the sweep.
        sweep: its settings.
        seed: of its experiment.
    """
    axes = [[(key, *value) for value in _labelled(values)] for key, values in sweep.grid.items()]
    if sweep.points:
        axes.append([(POINT, label, changes) for label, changes in sweep.points.items()])
    found = []
    for chosen in itertools.product(*axes):
        changes: dict[str, Any] = {}
        for key, _, value in chosen:
            changes = merged(changes, value if key == POINT else nested(key, value))
        parts = [label if key == POINT else f"{key.rpartition('.')[2]}-{label}" for key, label, _ in chosen]
        experiment = ".".join([name, *parts])
        own = changes.get("seed", seed)
        runs = tuple(experiment if each == own else f"{experiment}_s{each}" for each in sweep.seeds or [own])
        found.append(Combination(experiment, {key: label for key, label, _ in chosen}, changes, runs))
    return found


def size(sweep: "Sweep") -> int:
    """Return the number of combinations of a sweep."""
    return math.prod(len(values) for values in (*sweep.grid.values(), sweep.points or [""]))


def experiments(written: Any, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the experiments of all sweeps as they are written; of a sweep that is not valid, none.

    Args:
        written: the section `sweeps` of a configuration.
        known: the experiments that these may extend.

    Raises:
        ValueError: that one does not exist.
    """
    from pipeline.config.combining import Sweep

    made: dict[str, Any] = {}
    for name, values in written.items() if isinstance(written, Mapping) else ():
        try:
            sweep = Sweep.model_validate(values)
        except ValueError:  # the whole configuration's check says where
            continue
        if sweep.extends is None:
            continue
        base = known.get(sweep.extends)
        if not isinstance(base, Mapping):
            names = ", ".join(map(str, known)) or "none; define one first"
            raise ValueError(
                f"sweeps.{name}.extends: expected one of the experiments ({names}), received {shown(sweep.extends)}"
            )
        for each in combinations(str(name), sweep, 0):
            made[each.name] = merged(base, each.changes)
    return made


def of_config(config: "Config", name: str) -> list[Combination]:
    """Return the combinations of a sweep of the configuration.

    Raises:
        InputError: it names a run that there is not.
    """
    from pipeline.config.runs import find

    sweep = config.sweeps[name]
    if sweep.extends is not None:
        return combinations(name, sweep, config.experiments[sweep.extends].seed)
    with about(f"sweeps.{name}.runs"):
        own = {run: find(config, run).seed for run in sweep.runs}
    return [
        Combination(
            run, {RUN: run}, {}, tuple(run if each == seed else f"{run}_s{each}" for each in sweep.seeds or [seed])
        )
        for run, seed in own.items()
    ]


def runs_of(config: "Config", name: str) -> list[str]:
    """Return the names of all runs of a sweep."""
    return [run for each in of_config(config, name) for run in each.runs]


def check(config: "Config", name: str) -> None:
    """Raise an InputError if the configuration has no such sweep, or the sweep names a run that there is not."""
    if name not in config.sweeps:
        known = ", ".join(config.sweeps) or "none; define it under `sweeps:`"
        raise InputError(f"sweep {name!r}: expected one of the configuration's sweeps ({known})")
    of_config(config, name)


def extended(experiments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the experiments as they are written, each layered over the one that it ``extends``.

    Raises:
        ValueError: that one does not exist, or extends this one.
    """

    def whole(name: str, above: tuple[str, ...] = ()) -> Any:
        values = experiments[name]
        if not isinstance(values, Mapping) or "extends" not in values:
            return values
        base = values["extends"]
        if not isinstance(base, str) or base not in experiments or base in (*above, name):
            known = ", ".join(str(each) for each in experiments if each not in (*above, name)) or "none"
            expected = f"experiments.{name}.extends: expected another experiment ({known})"
            raise ValueError(f"{expected}, received {shown(base)}")
        lower = whole(base, (*above, name))
        own = {key: value for key, value in values.items() if key != "extends"}
        return merged(lower, own) if isinstance(lower, Mapping) else own

    return {name: whole(name) for name in experiments}


def merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` updated with `change`, recursively; but a head is replaced as a whole, since its options differ."""
    result = dict(base)
    for key, value in change.items():
        old = result.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping) and key != "head":
            value = merged(old, value)
        result[key] = value
    return result


def nested(key: str, value: Any) -> dict[str, Any]:
    """Return ``{"a": {"b": value}}`` for the key ``a.b``."""
    for part in reversed(key.split(".")):
        value = {part: value}
    return dict(value)


def _labelled(values: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(values, Mapping):
        yield from values.items()
    else:
        yield from ((label(value), value) for value in values)


def label(value: Any) -> str:
    """Return a value as names have it: ``true``, ``1e-3``, ``null`` or a word."""
    from pipeline.config.runs import spell

    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return spell(value) if isinstance(value, float) else str(value)
