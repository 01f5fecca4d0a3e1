"""The sections `sweeps` and `searches` of the configuration: experiments with several settings."""

import re
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from pipeline.config import searches, sweeps
from pipeline.config.values import Count, ExperimentName, Real, Section, Seed
from pipeline.core.text import shown

_Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9+-]*$", max_length=40)]
_Setting = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$", max_length=100)]
_Scalar = bool | int | Real | str | None


class Sweep(Section):
    """One experiment with every combination of some settings, or any runs; see `pipeline.config.sweeps`."""

    extends: ExperimentName | None = None
    runs: list[ExperimentName] = []
    grid: dict[_Setting, Annotated[list[_Scalar], Field(min_length=1)] | dict[_Label, Any]] = {}
    points: dict[_Label, dict[str, Any]] = {}
    seeds: list[Seed] = []

    @model_validator(mode="after")
    def _varies(self) -> "Sweep":
        for key, values in self.grid.items():
            labels = [*values] if isinstance(values, dict) else [sweeps.label(value) for value in values]
            what = f"received {shown(values)}"
            if not labels or len(set(labels)) < len(labels):
                raise ValueError(f"grid.{key}: expected different values, {what}")
            if isinstance(values, list) and not all(re.fullmatch(r"[A-Za-z0-9.+-]+", each) for each in labels):
                raise ValueError(f"grid.{key}: expected numbers or words, or `name: value` lines, {what}")
        if "seed" in self.grid:
            raise ValueError(f"grid.seed: expected none; write seeds: {shown(self.grid['seed'])}")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds: expected different ones, received {shown(self.seeds)}")
        if self.runs and (self.extends or self.grid or self.points):
            raise ValueError("expected runs, or extends with a grid, points or seeds, received both")
        if not self.runs and not (self.grid or self.points or self.seeds):
            raise ValueError("expected runs, a grid, points or seeds, received none")
        if not self.runs and self.extends is None:
            raise ValueError("extends: expected the name of an experiment, received none")
        if len(set(self.runs)) < len(self.runs):
            raise ValueError(f"runs: expected different ones, received {shown(self.runs)}")
        if (count := sweeps.size(self)) > sweeps.MOST:
            raise ValueError(f"expected at most {sweeps.MOST} combinations, received {count}")
        return self


class Range(Section):
    """The values between two ends, both included; whole numbers if both ends are."""

    low: int | Real
    high: int | Real
    log: bool = False
    step: Annotated[int | Real | None, Field(gt=0)] = None

    @model_validator(mode="after")
    def _has_values(self) -> "Range":
        if not self.low < self.high:
            raise ValueError(f"expected low < high, received {self.low} and {self.high}")
        if self.log and (self.step is not None or self.low <= 0):
            raise ValueError("log: expected a low end above 0, and no step")
        return self


def _kind(values: Any) -> str:
    if isinstance(values, Range) or (isinstance(values, dict) and {"low", "high"} & values.keys()):
        return "range"
    return "names" if isinstance(values, dict) else "list"


_Values = Annotated[
    Annotated[Range, Tag("range")]
    | Annotated[list[_Scalar], Field(min_length=1), Tag("list")]
    | Annotated[dict[_Label, Any], Field(min_length=1), Tag("names")],
    Discriminator(_kind),
]


class Search(Section):
    """One experiment with settings that are chosen by trial and error; see `pipeline.config.searches`."""

    extends: ExperimentName
    space: Annotated[dict[_Setting, _Values], Field(min_length=1)]
    trials: Annotated[int, Field(ge=1, le=sweeps.MOST)] = 20
    seed: Seed = 0
    sampler: Literal["tpe", "random"] = "tpe"
    pruner: Literal["median", "none"] = "median"
    fewest_epochs: Count = 1

    @model_validator(mode="after")
    def _can_choose(self) -> "Search":
        searches.check_space(self.space)
        return self
