"""Searches: one experiment with settings that Optuna chooses, one trial after the other.

A search extends an experiment. Its space gives the range or the choices of each setting. Each trial is an experiment,
and a run, of its own, named after the search and its number, for example ``vivid.trial-7``.
"""

import itertools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from pipeline.config.sweeps import Combination, label, merged, nested
from pipeline.core.errors import InputError
from pipeline.core.text import shown

if TYPE_CHECKING:
    from pipeline.config.combining import Search
    from pipeline.config.schema import Config

Values = Mapping[str, Any]  # by setting: a number of its range, or the label of one of its choices


def check_space(space: Mapping[str, Any]) -> None:
    """Raise a ValueError if two choices of a setting have one label, or the seed is a setting."""
    for key in space:
        if key == "seed":
            raise ValueError("space.seed: expected none, because a seed is not to be chosen; remove it")
        labels = [label for label, _ in choices(space, key)]
        if len(set(labels)) < len(labels):
            raise ValueError(f"space.{key}: expected different values, received {shown(labels)}")


def choices(space: Mapping[str, Any], key: str) -> list[tuple[str, Any]]:
    """Return the choices of a setting, each with its label; none for a range."""
    values = space[key]
    if isinstance(values, list):
        return [(label(value), value) for value in values]
    return list(values.items()) if isinstance(values, Mapping) else []


def check_experiments(config: "Config", name: str) -> None:
    """Raise a ValueError unless a search extends an experiment, and each value of each setting is allowed."""
    search = config.searches[name]
    if name in config.sweeps:
        raise ValueError(f"searches.{name}: there is a sweep of this name; choose another name")
    trained = [each for each, values in config.experiments.items() if hasattr(values, "training")]
    if search.extends not in trained:
        known = ", ".join(trained) or "none; define one first"
        raise ValueError(
            f"searches.{name}.extends: expected one of the experiments with a network ({known}), received "
            f"{shown(search.extends)}"
        )
    for values in ends(search):
        try:
            experiment(config, name, values)
        except ValidationError as error:
            problem = error.errors()[0]
            key, what = ".".join(map(str, problem["loc"])), problem["msg"].removeprefix("Value error, ")
            raise ValueError(f"searches.{name}.space: {key}: {what}, received {shown(problem['input'])}") from None


def ends(search: "Search") -> Iterator[dict[str, Any]]:
    """Yield values such that each end of each range and each choice is among them."""
    space: Mapping[str, Any] = search.space
    sides: list[list[Any]] = [
        [each for each, _ in choices(space, key)] or [values.low, values.high] for key, values in space.items()
    ]
    longest = max(map(len, sides))
    for values in itertools.islice(zip(*(itertools.cycle(side) for side in sides), strict=True), longest):
        yield dict(zip(search.space, values, strict=True))


def experiment(config: "Config", name: str, values: Values) -> Any:
    """Return the experiment of a trial; a ValueError says which value is not allowed."""
    search = config.searches[name]
    base = config.experiments[search.extends]
    changes: dict[str, Any] = {}
    for key, value in values.items():
        named = dict(choices(search.space, key))
        changes = merged(changes, nested(key, named[value] if named else value))
    return type(base).model_validate(merged(base.model_dump(), changes))


def with_trial(config: "Config", name: str, number: int, values: Values) -> "Config":
    """Return the configuration with the experiment of a trial; raises as `experiment`."""
    made = {trial_name(name, number): experiment(config, name, values)}
    return config.model_copy(update={"experiments": {**config.experiments, **made}})


def trial_name(name: str, number: int) -> str:
    """Return the name of a trial's run."""
    return f"{name}.trial-{number}"


def combination(name: str, number: int, values: Values) -> Combination:
    """Return a trial as a combination of settings, as those of a sweep."""
    labels = {key: value if isinstance(value, str) else label(value) for key, value in values.items()}
    run = trial_name(name, number)
    return Combination(run, labels, {}, (run,))


def check(config: "Config", name: str) -> None:
    """Raise an InputError if the configuration has no such search."""
    if name not in config.searches:
        known = ", ".join(config.searches) or "none; define it under `searches:`"
        raise InputError(f"search {name!r}: expected one of the configuration's searches ({known})")
