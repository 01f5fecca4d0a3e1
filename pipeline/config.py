"""The configuration: one typed model, its defaults those of config/config.yaml."""

import math
import os
import re
import reprlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from pipeline.errors import InputError
from pipeline.hardware import Precision, fastest_precision

VARIABLE = "DEEPCOLOR_CONFIG"  # environment variable: the workflow's resolved configuration, as JSON

LONGEST_FILE = 2**20  # bytes; PyYAML takes seconds for as much
MOST_VALUES = 10_000
MOST_PROBLEMS = 10

_WORD = re.compile(r"[+-]?[0-9]{1,18}|true|false|null", re.ASCII)
_ADDRESS = re.compile(r"[a-z]+://([^\s/:\[\]]+|\[[^\s/\[\]]+\]):[0-9]{1,5}", re.ASCII)
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


def check_scheduler(value: str) -> str:
    """`value`, if it says how dask runs tasks: in threads, one after the other, or by the scheduler at an address.

    Raises:
        ValueError: it does not.
    """
    if value not in ("threads", "synchronous") and not _ADDRESS.fullmatch(value):
        raise ValueError(
            "expected threads, synchronous or the address of a dask scheduler such as tcp://host:8786, "
            f"received {value!r}"
        )
    return value


def _path(text: str) -> str:
    os.fsencode(text)  # a UnicodeEncodeError, which is a ValueError, where no file can have that name
    if "\0" in text:
        raise ValueError(f"expected a path, received {_shown(text)}, with the character NUL; take it out")
    return os.path.expanduser(text)  # noqa: PTH111 - a user who is not there is left as it is


def _precision(value: Any) -> Any:
    if value not in ("auto", *get_args(Precision)):
        raise ValueError(f"expected auto, {' or '.join(get_args(Precision))}, received {_shown(value)}")
    return fastest_precision() if value == "auto" else value


Place = Annotated[str, AfterValidator(_path)]
Real = Annotated[float, BeforeValidator(_number)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]*$", max_length=100)]
DatasetName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
PrecisionOrAuto = Annotated[Precision, BeforeValidator(_precision)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Count = Annotated[int, Field(ge=1, lt=2**31)]
Workers = Annotated[int, Field(ge=1, le=4096)]


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
    precision: PrecisionOrAuto = "float32"
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
    precision: PrecisionOrAuto = "float32"
    start_at: Literal["mean", "zeros"] = "mean"
    patience: Count | None = None
    tensorboard: bool = False
    checkpoint_seconds: Annotated[Real, Field(ge=0)] = 60.0
    checkpoint_epochs: Count | None = None
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
    threads: Workers = 2
    scheduler: Annotated[str, AfterValidator(check_scheduler)] = "threads"
    workers: Workers = 2
    images_per_shard: Annotated[int, Field(ge=8, le=2**20, multiple_of=8)] = 64
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
        problems = [_explain(problem) for problem in error.errors()[:MOST_PROBLEMS]]
        if error.error_count() > MOST_PROBLEMS:
            problems.append(f"and {error.error_count() - MOST_PROBLEMS} more")
        raise InputError(f"{origin}: {'; '.join(problems)}") from None


def _explain(problem: Any) -> str:
    place = list(problem["loc"])
    if place[:1] == ["datasets"]:
        del place[2:3]  # pydantic's name for the kind of source, no key
    key = "".join(c if c.isprintable() else "?" for c in ".".join(map(str, place)))[:200]
    if problem["type"] == "extra_forbidden":
        return f"{key or '(empty)'}: unknown key; see config/config.yaml for those there are"
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
        if path.exists() and not path.is_file() and not path.is_dir():
            raise InputError(f"{path}: expected a YAML file, received a pipe or device; save it as a file")
        with path.open("rb") as file:
            text = file.read(LONGEST_FILE + 1).decode("utf-8")
        if len(text) > LONGEST_FILE:
            raise InputError(f"{path}: expected a YAML file of at most {LONGEST_FILE} bytes, received more; shorten it")
    except FileNotFoundError:
        raise InputError(
            f"{path}: there is no such configuration file; config/config.yaml is the default one"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected a YAML file, received: {error}; save it as UTF-8 text") from None
    values = _yaml(text, f"{path}: expected a YAML file")
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected keys and values, received {type(values).__name__}")
    return values


def _yaml(text: str, expected: str) -> Any:
    try:
        value = yaml.load(text, _Loader)  # noqa: S506 - it is a SafeLoader
        _count(value)
        return value
    except Exception as error:  # besides its own, PyYAML lets through what int, float, date and deep nesting raise
        raise InputError(f"{expected}, received: {str(error) or type(error).__name__}; correct that") from None


class _Loader(yaml.SafeLoader):
    """Besides, refuses a key that is there twice, and merge keys (<<) that multiply."""

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        keys: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in keys:
                    raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} twice", problem_mark=key.start_mark)
                keys.add(key.value)
        return node

    def flatten_mapping(self, node: Any) -> None:
        super().flatten_mapping(node)
        if len(node.value) > MOST_VALUES:
            raise yaml.YAMLError("too many merged keys")


def _count(value: Any) -> None:
    """Refuse aliases that stand for very many values, or for themselves."""
    waiting, count = [value], 0
    while waiting:
        inner = waiting.pop()
        count += 1
        if count > MOST_VALUES:
            raise ValueError(f"more than {MOST_VALUES} values")
        waiting += inner.values() if isinstance(inner, dict) else inner if isinstance(inner, list) else ()


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
    try:
        for text in assignments:
            values = merge(values, parse_assignment(text))
    except RecursionError:
        raise InputError("--set: expected a key of a few parts, received one of very many; shorten it") from None
    return parse_config(merge(values, changes or {}), " + ".join(names) or "the configuration")
