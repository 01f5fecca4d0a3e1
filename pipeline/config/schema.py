"""The typed model of the configuration. Its defaults equal config/config.yaml, but for the experiment there."""

import math
import os
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    Tag,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_serializer,
    model_validator,
)

from pipeline.config import runs, searches, sweeps
from pipeline.core.machine import Precision, fastest_precision
from pipeline.core.tasks import check_scheduler
from pipeline.core.text import shown
from pipeline.images.formats import MAX_MEGAPIXELS, TONED_BELOW

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


def _registered(kind: str) -> Callable[[Any], Any]:
    # The registry of the kind checks the rest; modules of one's own may add to it.
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
Head = Annotated[Any, AfterValidator(_registered("head"))]


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


class SampleSource(Section):
    """Crops of the colour photographs installed with scikit-image."""

    kind: Literal["sample"] = "sample"


_Switch = Annotated[bool, Field(exclude_if=lambda value: not value)]  # omitted if off, as in older records


class KaggleSource(Section):
    """The arrays of Kaggle's "image-colorization" dataset: gray_scale.npy, ab1.npy, ab2.npy and so on."""

    kind: Literal["kaggle"] = "kaggle"
    path: Place
    leave_out_damaged: _Switch = False
    dark: _Switch = False


class HDF5Source(Section):
    """One HDF5 file with the datasets L and ab."""

    kind: Literal["hdf5"] = "hdf5"
    path: Place
    leave_out_damaged: _Switch = False
    dark: _Switch = False


class FolderSource(Section):
    """A folder of photographs, including its subfolders."""

    kind: Literal["folder"] = "folder"
    path: Place
    gray_below: Annotated[Real, Field(ge=0)] = 2.0
    max_megapixels: Annotated[Real, Field(gt=0)] = MAX_MEGAPIXELS
    toned_below: Annotated[Real, Field(ge=0, exclude_if=lambda value: value == TONED_BELOW)] = (
        TONED_BELOW  # new as well
    )
    table: Annotated[Place | None, Field(exclude_if=lambda table: table is None)] = None  # new since 0.1
    crop: Annotated[Literal["centre", "squash"], Field(exclude_if=lambda crop: crop == "centre")] = "centre"  # as well


Source = Annotated[SampleSource | KaggleSource | HDF5Source | FolderSource, Field(discriminator="kind")]
_NetworkName = Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$", max_length=100)]


class Embedding(Section):
    """How the embeddings are computed; `network` is a name of `pipeline.embedding.registry`."""

    network: _NetworkName = "efficientnet_lite0"
    weights: Annotated[str, Field(min_length=1)] = "imagenet"
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


class Latent(Section):
    """The latent variables of an architecture; see `pipeline.networks.latent`."""

    encoder: str
    weight: Annotated[Real, Field(ge=0)] = 1e-3


class Architecture(Section):
    """One network, in the notation of `pipeline.networks.notation`."""

    encoder: str
    fusion: str
    decoder: str
    head: Head = "regression"
    inputs: list[str] = ["L", "embedding"]
    normalisation: Literal["none", "batch"] = "none"
    upsampling: Literal["nearest", "bilinear"] = "nearest"
    lightness: Annotated[list[Real], Field(min_length=2, max_length=2)] = [0.0, 255.0]
    padding: Literal["same", "symmetric"] = "same"
    latent: Latent | None = None

    @model_serializer(mode="wrap")
    def _without_defaults(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Omitted as in older records, so that the settings of the same run compare as equal.
        return {key: value for key, value in serialize(self).items() if value != type(self).model_fields[key].default}


# Settings that `Training` did not have in version 0.1.
_ADDED = (
    "optimizer", "weight_decay", "schedule", "decay", "decay_epochs", "warmup_epochs", "clip_norm", "ema_decay",
    "mirror", "start_from", "images",
)  # fmt: skip


class Training(Section):
    """Settings of training that run names do not contain."""

    start_from: Annotated[Place, Field(min_length=1)] | None = None
    epochs: Annotated[int, Field(ge=0, lt=2**31)] = 2
    precision: PrecisionOrAuto = "float32"
    start_at: Literal["mean", "zeros"] = "mean"
    patience: Count | None = None
    tensorboard: bool = False
    trackers: Annotated[list[Literal["mlflow", "wandb"]], Field(exclude_if=lambda trackers: not trackers)] = []
    checkpoint_seconds: Annotated[Real, Field(ge=0)] = 60.0
    checkpoint_epochs: Count | None = None
    memory_gib: Annotated[Real, Field(ge=0)] = 8.0
    optimizer: Literal["adam", "adamw"] = "adam"
    weight_decay: Annotated[Real, Field(ge=0, lt=1)] = 1e-4
    schedule: Literal["constant", "cosine", "step", "exponential"] = "constant"
    decay: Annotated[Real, Field(gt=0, lt=1)] = 0.1
    decay_epochs: Annotated[Real, Field(gt=0)] = 30.0
    warmup_epochs: Annotated[Real, Field(ge=0)] = 0.0
    clip_norm: Annotated[Real, Field(gt=0)] | None = None
    ema_decay: Annotated[Real, Field(gt=0, lt=1)] | None = None
    mirror: bool = False
    images: Count | None = None

    @field_validator("epochs")
    @classmethod
    def _some(cls, epochs: int, info: ValidationInfo) -> int:
        if not (epochs or info.data.get("start_from")):
            raise ValueError("expected at least 1, or start_from: the network to be scored as it is; received 0")
        return epochs

    @model_serializer(mode="wrap")
    def _without_defaults(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Records that were written before these settings existed stay equal to those of the same runs today.
        defaults = {key: type(self).model_fields[key].default for key in _ADDED}
        return {key: value for key, value in serialize(self).items() if key not in _ADDED or value != defaults[key]}

    def decisive(self) -> dict[str, Any]:
        """Return the settings that decide a run's numbers; see also `pipeline.config.start.with_digest`."""
        decisive = {"precision", "start_at", "patience", *_ADDED}
        if self.optimizer == "adam":
            decisive.remove("weight_decay")
        if self.schedule not in ("step", "exponential"):
            decisive -= {"decay", "decay_epochs"}
        if self.schedule == "cosine":
            decisive.add("epochs")  # the learning rate depends on them
        if self.start_from:
            decisive.remove("start_at")
        return self.model_dump(include=decisive)


class Experiment(Section):
    """A named run: the values of a grid name, and changes to `training`."""

    architecture: Name
    learning_rate: Annotated[Real, Field(gt=0, lt=runs.LARGEST)]
    l2: Annotated[Real, Field(ge=0, lt=runs.LARGEST)] = float(runs.DEFAULT_L2)
    batch_size: Annotated[int, Field(ge=1, le=runs.LARGEST_BATCH)] = runs.DEFAULT_BATCH_SIZE
    seed: Seed = runs.DEFAULT_SEED
    embedding: bool = True
    head: Annotated[Head, Field(exclude_if=lambda head: head is None)] = None
    training: Training = Training()

    @field_serializer("training")
    def _changes(self, training: Training) -> dict[str, Any]:
        # Other settings stay those of the configuration, so that even defaults are written if they were set.
        return {key: getattr(training, key) for key in Training.model_fields if key in training.model_fields_set}


class Untrained(Section):
    """A named run of a predictor that needs no training, one of `pipeline.evaluation.registry`."""

    predictor: Annotated[Any, AfterValidator(_registered("predictor"))]
    seed: Seed = runs.DEFAULT_SEED


TRAINED, UNTRAINED = "a network", "a predictor"  # in the places of pydantic's errors; no keys, for their spaces


def _trained(values: Any) -> str:
    named = isinstance(values, Untrained) or (isinstance(values, Mapping) and "predictor" in values)
    return UNTRAINED if named else TRAINED


AnyExperiment = Annotated[
    Annotated[Experiment, Tag(TRAINED)] | Annotated[Untrained, Tag(UNTRAINED)], Discriminator(_trained)
]
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


class Evaluation(Section):
    """Settings of evaluation and its figures."""

    weights: Literal["best", "last"] = "best"
    batch_size: Count = 16
    pictures: Annotated[int, Field(ge=1, le=50)] = 8
    seed: Seed = 0
    recognition: _NetworkName | None = "efficientnet_lite0"
    temperature: Annotated[Temperature | None, Field(exclude_if=lambda value: value is None)] = None  # new since 0.1


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
    # Omitted if empty, as in records of version 0.1.0.
    experiments: Annotated[
        dict[ExperimentName, AnyExperiment], Field(exclude_if=lambda experiments: not experiments)
    ] = {}
    sweeps: Annotated[dict[Name, Sweep], Field(exclude_if=lambda sweeps: not sweeps)] = {}
    searches: Annotated[dict[Name, Search], Field(exclude_if=lambda searches: not searches)] = {}
    training: Training = Training()
    evaluation: Evaluation = Evaluation()

    @model_validator(mode="before")
    @classmethod
    def _all_experiments(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not isinstance(written := values.get("experiments", {}), dict):
            return values
        experiments = sweeps.extended(written)
        made = sweeps.experiments(values.get("sweeps", {}), experiments)
        if wrong := next((name for name in experiments if "." in str(name) and name not in made), None):
            raise ValueError(f"experiments.{wrong}: expected letters, digits, - and _, which are no dots; rename it")
        return {**values, "experiments": experiments | made} if experiments else values

    @model_validator(mode="after")
    def _dataset_exists(self) -> "Config":
        if self.dataset not in self.datasets:
            raise ValueError(f"dataset: expected one of {', '.join(self.datasets)}, received {self.dataset!r}")
        return self

    @model_validator(mode="after")
    def _searches_can_run(self) -> "Config":
        for name in self.searches:
            searches.check_experiments(self, name)
        return self

    @model_validator(mode="after")
    def _experiment_names_are_free(self) -> "Config":
        for name in self.experiments:
            if reason := runs.taken(name, self.experiments):
                raise ValueError(f"experiments.{name}: {reason}; choose another name")
        return self
