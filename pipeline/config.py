"""The configuration: one typed model, its defaults those of config/config.yaml."""

import math
import os
import re
import reprlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from pipeline.errors import InputError

VARIABLE = "DEEPCOLOR_CONFIG"  # environment variable: the workflow's resolved configuration, as JSON
WORKFLOW = "DEEPCOLOR_WORKFLOW"  # environment variable: host, process and start of the workflow that calls a stage

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


Place = Annotated[str, AfterValidator(os.path.expanduser)]
Real = Annotated[float, BeforeValidator(_number)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]*$")]
DatasetName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """Settings that refuse unknown keys, wrong types and numbers that are not finite."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _read_words(cls, values: Any) -> Any:
        # `snakemake --config training='{epochs: 5}'` hands nested values over as text.
        if not isinstance(values, dict):
            return values
        fields = cls.model_fields
        return {
            key: yaml.safe_load(value)
            if isinstance(value, str) and key in fields and fields[key].annotation is not str and _WORD.fullmatch(value)
            else value
            for key, value in values.items()
        }


class SampleSource(Section):
    """The colour photographs that scikit-image installs, cut into many."""

    kind: Literal["sample"] = "sample"


class KaggleSource(Section):
    """The arrays of Kaggle's "image-colorization": gray_scale.npy, ab1.npy, ab2.npy and so on."""

    kind: Literal["kaggle"] = "kaggle"
    path: Place


class HDF5Source(Section):
    """One HDF5 file with the datasets L and ab."""

    kind: Literal["hdf5"] = "hdf5"
    path: Place


class FolderSource(Section):
    """A folder of photographs, with its subfolders."""

    kind: Literal["folder"] = "folder"
    path: Place
    gray_below: Annotated[Real, Field(ge=0)] = 2.0
    max_megapixels: Annotated[Real, Field(gt=0)] = 300.0


Source = Annotated[SampleSource | KaggleSource | HDF5Source | FolderSource, Field(discriminator="kind")]


class Embedding(Section):
    """How the embeddings are computed."""

    weights: Annotated[str, Field(min_length=1)] = "random"
    seed: Seed = 0
    activation: Literal["logits", "softmax"] = "logits"
    precision: Literal["float32", "mixed_bfloat16"] = "float32"
    batch_size: Count = 16


class Split(Section):
    """Shares of the images, and the seed of the draw."""

    train: Annotated[Real, Field(gt=0, lt=1)] = 0.6
    validation: Annotated[Real, Field(gt=0, lt=1)] = 0.2
    test: Annotated[Real, Field(gt=0, lt=1)] = 0.2
    seed: Seed = 4

    @model_validator(mode="after")
    def _whole(self) -> "Split":
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"expected train + validation + test to be 1, received {total:g}")
        return self


class Architecture(Section):
    """One network, in the notation of `pipeline.blueprints`."""

    encoder: str
    fusion: str
    decoder: str


class Training(Section):
    """What a run's name does not say about its training."""

    epochs: Count = 2
    precision: Literal["float32", "mixed_bfloat16"] = "float32"
    start_at: Literal["mean", "zeros"] = "mean"
    patience: Count | None = None
    tensorboard: bool = False
    checkpoint_seconds: Annotated[Real, Field(ge=0)] = 60.0
    memory_gib: Annotated[Real, Field(ge=0)] = 8.0


class Evaluation(Section):
    """What is evaluated, and how much is drawn."""

    weights: Literal["best", "last"] = "best"
    batch_size: Count = 16
    pictures: Annotated[int, Field(ge=1, le=50)] = 8
    seed: Seed = 0


class Config(Section):
    """The whole configuration."""

    dataset: DatasetName = "sample"
    datasets: dict[DatasetName, Source] = {"sample": SampleSource()}
    limit: Count | None = None
    root: Place = "."
    data: Place = "data"
    replace: bool = False
    threads: Count = 2
    scheduler: Literal["threads", "synchronous"] = "threads"
    workers: Count = 2
    images_per_shard: Annotated[int, Field(ge=8, multiple_of=8)] = 64
    embedding: Embedding = Embedding()
    split: Split = Split()
    architectures: dict[Name, Architecture] = {}
    training: Training = Training()
    evaluation: Evaluation = Evaluation()

    @model_validator(mode="after")
    def _dataset_is_there(self) -> "Config":
        if self.dataset not in self.datasets:
            raise ValueError(f"dataset: expected one of {', '.join(self.datasets)}, received {self.dataset!r}")
        return self


def parse_config(values: Mapping[str, Any], origin: str = "the configuration") -> Config:
    """Check a mapping and fill in defaults.

    Raises:
        InputError: names the key, what was expected and what was received.
    """
    try:
        return Config.model_validate(dict(values))
    except ValidationError as error:
        raise InputError(f"{origin}: {'; '.join(_explain(problem) for problem in error.errors())}") from None


def _explain(problem: Any) -> str:
    place = list(problem["loc"])
    if place[:1] == ["datasets"]:
        del place[2:3]  # pydantic's name for the kind of source, no key
    key = ".".join(map(str, place))
    if problem["type"] == "extra_forbidden":
        return f"{key}: unknown key; see config/config.yaml for those there are"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "missing":
        return f"{key}: expected a value, received none"
    received = "" if problem["type"] == "value_error" else f", received {_shown(problem['input'])}"
    return f"{key}: {message}{received}" if key else f"{message}{received}"


def _shown(value: Any) -> str:
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = 120
    try:
        return short.repr(value)
    except ValueError:  # Python writes no integer of more than 4300 digits
        return f"a {type(value).__name__} too long to show"


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a configuration file as plain values.

    Raises:
        InputError: the file is missing, is not YAML or holds no mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(
            f"{path}: there is no such configuration file; config/config.yaml is the default one"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected a YAML file, received: {error}") from None
    values = _yaml(text, f"{path}: expected a YAML file")
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected keys and values, received {type(values).__name__}")
    return values


def _yaml(text: str, expected: str) -> Any:
    try:
        return yaml.safe_load(text)
    except Exception as error:  # besides its own, PyYAML lets through what int, float, date and deep nesting raise
        raise InputError(f"{expected}, received: {error or type(error).__name__}") from None


def merge(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `change`, key by key to any depth."""
    merged = dict(base)
    for key, value in change.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def parse_assignment(text: str) -> dict[str, Any]:
    """``embedding.seed=1`` as ``{"embedding": {"seed": 1}}``; the value is YAML.

    Raises:
        InputError: there is no ``=``, or the value is not YAML.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise InputError(f"--set {text!r}: expected KEY=VALUE, for example embedding.weights=imagenet")
    nested = _yaml(value, f"--set {text!r}: expected a YAML value after '='")
    for part in reversed(key.strip().split(".")):
        nested = {part: nested}
    return dict(nested)


def load_config(
    paths: Iterable[Path],
    assignments: Iterable[str] = (),
    *,
    base: Mapping[str, Any] | None = None,
    changes: Mapping[str, Any] | None = None,
) -> Config:
    """Read a configuration: `base`, then files, then ``KEY=VALUE`` assignments, then `changes`; later ones win."""
    values = dict(base or {})
    names = []
    for path in paths:
        values = merge(values, read_yaml(path))
        names.append(str(path))
    for text in assignments:
        values = merge(values, parse_assignment(text))
    return parse_config(merge(values, changes or {}), " + ".join(names) or "the configuration")
