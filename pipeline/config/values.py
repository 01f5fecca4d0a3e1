"""The kinds of values in the configuration, and what all its sections have in common."""

import math
import os
import re
from collections.abc import Callable
from typing import Annotated, Any, get_args

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from pipeline.config import runs
from pipeline.core.machine import Precision, fastest_precision
from pipeline.core.text import shown

_WORD = re.compile(r"[+-]?[0-9]{1,18}|true|false|null", re.ASCII)
_NUMBER = re.compile(r"[+-]?[0-9]*\.?[0-9]+([eE][+-]?[0-9]+)?", re.ASCII)


def _number(value: Any) -> Any:
    # YAML 1.1 reads 1e-4 (without a point) as text.
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value)
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return math.inf
    return value


def _path(text: str) -> str:
    os.fsencode(text)  # raises UnicodeEncodeError, a ValueError, if no file can have that name
    if "\0" in text:
        raise ValueError(f"expected a path, received {shown(text)}, which contains NUL; remove it")
    return os.path.expanduser(text)  # noqa: PTH111 - pathlib raises for unknown users


def _precision(value: Any) -> Any:
    if value not in ("auto", *get_args(Precision)):
        raise ValueError(f"expected auto, {' or '.join(get_args(Precision))}, received {shown(value)}")
    return fastest_precision() if value == "auto" else value


def registered(kind: str) -> Callable[[Any], Any]:
    """Return the check of a choice in a registry, which checks the rest: modules of one's own may add to it."""

    def check(value: Any) -> Any:
        if not isinstance(value, str) and not (isinstance(value, dict) and isinstance(value.get("name"), str)):
            expected = f"expected the name of a {kind}, or a mapping of name and options"
            raise ValueError(f"{expected}, received {shown(value)}")
        return value

    return check


Place = Annotated[str, AfterValidator(_path)]
Real = Annotated[float, BeforeValidator(_number)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]*$", max_length=100)]
# Dots only in names that sweeps make.
ExperimentName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]*$", max_length=runs.LONGEST)]
DatasetName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
PrecisionOrAuto = Annotated[Precision, BeforeValidator(_precision)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Count = Annotated[int, Field(ge=1, lt=2**31)]
Workers = Annotated[int, Field(ge=1, le=4096)]
TEMPERATURES = (0.01, 100.0)
Temperature = Annotated[Real, Field(ge=TEMPERATURES[0], le=TEMPERATURES[1])]
Choice = str | dict[str, Any]  # of a registry: a name, or a mapping with name and options
HeadChoice = Choice
Head = Annotated[Any, AfterValidator(registered("head"))]


class Section(BaseModel):
    """Settings that reject unknown keys, wrong types and non-finite numbers."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _read_words(cls, values: Any) -> Any:
        # `snakemake --config training='{epochs: 5}'` passes nested values as text.
        if not isinstance(values, dict):
            return values
        fields = cls.model_fields
        return {
            key: yaml.safe_load(value)
            if isinstance(value, str) and key in fields and fields[key].annotation is not str and _WORD.fullmatch(value)
            else value
            for key, value in values.items()
        }
