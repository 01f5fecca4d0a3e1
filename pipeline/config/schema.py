"""The typed model of the configuration. Its defaults equal config/config.yaml, but for the experiment there."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
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
from pipeline.config.combining import Search, Sweep
from pipeline.config.partitions import PARTITIONS
from pipeline.config.sources import SampleSource, Source
from pipeline.config.values import (
    Count,
    DatasetName,
    ExperimentName,
    Head,
    Name,
    Place,
    PrecisionOrAuto,
    Real,
    Section,
    Seed,
    Temperature,
    Workers,
    registered,
)
from pipeline.core.tasks import check_scheduler

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
    weight: Annotated[Real, Field(ge=0)] = 1e-4  # docs/family/vae.md has the choice


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
    """A named run of a predictor that needs no training, one of `pipeline.evaluation.untrained`."""

    predictor: Annotated[Any, AfterValidator(registered("predictor"))]
    seed: Seed = runs.DEFAULT_SEED


TRAINED, UNTRAINED = "a network", "a predictor"  # in the places of pydantic's errors; no keys, for their spaces


def _trained(values: Any) -> str:
    named = isinstance(values, Untrained) or (isinstance(values, Mapping) and "predictor" in values)
    return UNTRAINED if named else TRAINED


AnyExperiment = Annotated[
    Annotated[Experiment, Tag(TRAINED)] | Annotated[Untrained, Tag(UNTRAINED)], Discriminator(_trained)
]


class Evaluation(Section):
    """Settings of evaluation and its figures."""

    weights: Literal["best", "last"] = "best"
    batch_size: Count = 16
    pictures: Annotated[int, Field(ge=1, le=50)] = 8
    seed: Seed = 0
    recognition: _NetworkName | None = "efficientnet_lite0"
    train: Annotated[bool, Field(exclude_if=lambda value: value)] = True  # new since 0.1
    temperature: Annotated[Temperature | None, Field(exclude_if=lambda value: value is None)] = None  # new since 0.1

    @property
    def partitions(self) -> tuple[str, ...]:
        """The partitions whose images are scored."""
        return PARTITIONS if self.train else tuple(name for name in PARTITIONS if name != "train")


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
